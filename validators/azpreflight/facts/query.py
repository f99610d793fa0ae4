"""A query is data: the definition of one fact. What YAML files under `queries:` contain."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from azpreflight.model import Frozen, Sureness
from azpreflight.site.model import Port

FactName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]
Reference = str
"""A value of the declaration by its name, for example `site.gateway` (see `azpreflight.site.references`)."""


class FromFact(Frozen):
    """A value taken from the rows of another fact of the same node."""

    fact: str
    property: str


class CimQuery(Frozen, tag_field="from", tag="cim"):
    """An enumeration of a CIM class.

    properties: what is asked for, or `all` where a class differs between builds or has embedded objects.
    where: a WQL condition, in which `{name}` stands for a bound value; several bound values are joined by OR.
    and_: a further WQL condition that holds for every alternative. A singleton class answers one row.
    """

    namespace: str
    class_: str = msgspec.field(name="class")
    properties: tuple[str, ...] | Literal["all"]
    where: str | None = None
    and_: str | None = msgspec.field(name="and", default=None)


class RegistryQuery(Frozen, tag_field="from", tag="registry"):
    r"""The values of one registry key (`HKLM\...`, 64-bit view), and of the keys below it when `recurse`.

    values: the only value names to keep, when given: for keys that hold secrets or bulk.
    """

    key: Annotated[str, msgspec.Meta(pattern=r"^(HKLM|HKU|HKCR)\\")]
    recurse: bool = False
    values: tuple[str, ...] = ()


class MethodQuery(Frozen, tag_field="from", tag="method"):
    """The outputs of a reading method (see `azpreflight.facts.winrm.cim.READING_METHODS`), one row for each call.

    arguments: inputs in the order of the class's definition. keys: the key of each instance, taken from the rows of
    another fact, as property of the class and where its value comes from; none for a static method. Each row holds the
    keys beside the outputs.
    """

    namespace: str
    class_: str = msgspec.field(name="class")
    method: str
    arguments: dict[str, str | int] = {}
    keys: dict[str, FromFact] = {}


class WinrmQuery(Frozen, tag_field="from", tag="winrm"):
    """Something that the WinRM service itself tells.

    `authentication` needs no request of its own: it is what became of the first one.
    """

    resource: Literal["authentication", "config", "listeners"]


class ProgramQuery(Frozen, tag_field="from", tag="program"):
    """The output of one read-only program of the fixed list (see `azpreflight.facts.winrm.programs`).

    arguments: may hold `{name}` for a bound value of the site. Then the fact is a list with a row for each combination:
    the values, `exit_code`, and `output` (null unless the exit code is 0).
    """

    program: str
    arguments: str
    output: Literal["csv", "json", "text", "xml"]


class ProxyFacts(Frozen, kw_only=True):
    """The registry facts that tell which proxy a node is set to: its environment, and what WinHTTP has stored."""

    environment: str
    winhttp: str


class CurlQuery(Frozen, tag_field="from", tag="curl"):
    """Reachability as the node sees it, asked of `curl.exe`.

    table: endpoints of the pack's table of that name that the site needs. urls: URLs, in which `{site.gateway}` and its
    like stand for what is declared. tcp: hosts (references or literals) whose `ports` are connected to; without
    `ports`, each names its own, as `site.proxy_ports` does (`proxy.edge.example:3128`). tls: versions to pin, for each
    URL. proxy_from: what tells the proxy for `table` and `urls` where the site declares none; without it, none is used
    then.
    """

    table: str | None = None
    urls: tuple[str, ...] = ()
    tcp: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    tls: tuple[Literal["1.2", "1.3"], ...] = ()
    proxy_from: ProxyFacts | None = None


class DnsQuery(Frozen, tag_field="from", tag="dns"):
    """Names asked of every DNS server, from the machine that runs azpreflight.

    names: references (`site.node_fqdns`) or literal names. servers: a reference to those that are asked.
    transport: `tcp` for questions that only a TCP connection may carry; over `udp`, TCP follows where an answer is cut.
    """

    names: tuple[str, ...]
    type: Literal["A", "AAAA", "PTR", "SOA", "NS", "SRV", "CNAME"]
    servers: Reference = "site.dns_servers"
    transport: Literal["udp", "tcp"] = "udp"


class TcpQuery(Frozen, tag_field="from", tag="tcp"):
    """Ports connected to from the machine that runs azpreflight, and closed again at once.

    hosts: references or literals.
    """

    hosts: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    ports: Annotated[tuple[Port, ...], msgspec.Meta(min_length=1)]


class TlsQuery(Frozen, tag_field="from", tag="tls"):
    """Handshakes with listeners, one for each version of TLS, from the machine that runs azpreflight.

    hosts: references or literals. starts: what comes before the handshake: nothing, or RDP's own negotiation.
    """

    hosts: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    ports: Annotated[tuple[Port, ...], msgspec.Meta(min_length=1)]
    versions: Annotated[tuple[Literal["1.0", "1.1", "1.2", "1.3"], ...], msgspec.Meta(min_length=1)]
    starts: Literal["tls", "rdp"] = "tls"


class HttpQuery(Frozen, tag_field="from", tag="http"):
    """Reachability of URLs as the machine that runs azpreflight sees it: a second opinion, asked only when wanted.

    table: endpoints of the pack's table of that name that the site needs. urls: URLs as they stand.
    """

    table: str | None = None
    urls: tuple[str, ...] = ()


class LdapQuery(Frozen, tag_field="from", tag="ldap", kw_only=True):
    """One search in the directory of the site's domain, from the machine that runs azpreflight.

    base: `root_dse`, `domain` (the domain's own naming context), `configuration`, or a distinguished name with `{name}`
    for a bound value; one search for each of several values.
    filter: may hold `{name}` for bound values, which are escaped there; several values are joined by OR.
    attributes: what is asked for; each row has all of them, None where the directory gave none, and `dn`.
    catalog: ask the global catalog, which knows the whole forest.
    """

    base: str
    scope: Literal["base", "one", "subtree"] = "base"
    filter: str = "(objectClass=*)"
    attributes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    catalog: bool = False


SiteRead: TypeAlias = DnsQuery | TcpQuery | TlsQuery | HttpQuery | LdapQuery
"""What is asked once for the whole site, from the machine that runs azpreflight."""
NodeRead: TypeAlias = CimQuery | MethodQuery | RegistryQuery | WinrmQuery | ProgramQuery | CurlQuery
"""What each node is asked."""


class Query(Frozen, kw_only=True):
    """The definition of one fact.

    sureness: how well this way of reading is confirmed; basis: by what.
    bind: placeholders (of `where`, `arguments`, `base`, `filter`) and where their values come from. asked_when: a fact
    without which (no row, or not observed) this one is not asked. nodes: every node, or only the first that answers for
    all.
    """

    read: NodeRead | SiteRead
    title: str
    sureness: Sureness
    basis: str
    bind: dict[str, Reference | FromFact] = {}
    asked_when: str | None = None
    nodes: Literal["each", "first"] = "each"

    @property
    def of_site(self) -> bool:
        """Whether the fact belongs to the site as a whole and not to a node."""
        return isinstance(self.read, SiteRead)

    @property
    def depends_on(self) -> frozenset[str]:
        """The facts that have to be observed before this one can be asked."""
        bound = {value.fact for value in self.bind.values() if isinstance(value, FromFact)}
        if isinstance(self.read, MethodQuery):
            bound |= {value.fact for value in self.read.keys.values()}
        if isinstance(self.read, CurlQuery) and self.read.proxy_from is not None:
            bound |= {self.read.proxy_from.environment, self.read.proxy_from.winhttp}
        return frozenset(bound | ({self.asked_when} if self.asked_when else set()))
