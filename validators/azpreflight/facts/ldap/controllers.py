"""The domain controllers of a site: those that it declares, else those that its DNS servers name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.ldap.connection import Place
from azpreflight.facts.network.asking import ReachedAt
from azpreflight.facts.network.dns import DnsSource, Question
from azpreflight.facts.observation import Status
from azpreflight.site.formats import is_address
from azpreflight.site.model import Directory, DirectoryTls, Site
from azpreflight.site.references import resolve

MOST_TRIED = 4
"""Domain controllers that are tried. A large domain has hundreds, and a blocked firewall blocks all of them."""
_DOMAIN_PORTS = {True: 636, False: 389}
_CATALOG_PORTS = {True: 3269, False: 3268}


def port_of(settings: Directory, *, catalog: bool) -> int:
    """The port of the domain's directory or of the global catalog, by whether TLS comes before LDAP."""
    return (_CATALOG_PORTS if catalog else _DOMAIN_PORTS)[settings.tls is DirectoryTls.LDAPS]


def controllers(site: Site, reached_at: ReachedAt, deadline: Deadline) -> Iterator[Place]:
    """Where domain controllers are asked, in the order in which they are tried; each is looked up when it is needed.

    Raises:
        WireError: the site names none, and DNS neither.
    """
    settings, domain = site.directory, site.directory.domain
    if not domain:
        raise WireError(Status.NOT_ASKED, "the site does not declare directory.domain")
    port = port_of(settings, catalog=False)
    names = _Names(site, reached_at, deadline)
    if settings.servers:
        found: Sequence[str] = settings.servers
    elif reached_at(domain, port) != (domain, port):
        # The domain itself is reached somewhere else: that is the domain controller.
        found = [domain]
    else:
        found = names.of_controllers(domain)
    for name in list(dict.fromkeys(found))[:MOST_TRIED]:
        host, reached_port = reached_at(name, port)
        yield Place(name.rstrip("."), names.address_of(name) if host == name else host, reached_port)


def catalog_of(place: Place, settings: Directory) -> Place:
    """Where the global catalog of a domain controller is asked.

    Raises:
        WireError: a redirection leads to a port, which is that of the domain's directory.
    """
    declared = port_of(settings, catalog=False)
    if place.port != declared:
        # The domain's directory would answer there, and of other domains it would say that nothing is in them.
        reason = f"{place.name} is reached at one port, which is not that of its global catalog; leave the port out"
        raise WireError(Status.NOT_ASKED, reason)
    return Place(place.name, place.host, port_of(settings, catalog=True))


class _Names:
    """What the declared DNS servers know: the domain is theirs, what this machine asks need not know it."""

    def __init__(self, site: Site, reached_at: ReachedAt, deadline: Deadline) -> None:
        self._source = DnsSource(reached_at)
        self._servers = list(resolve("site.dns_servers", site))
        self._deadline = deadline

    def of_controllers(self, domain: str) -> list[str]:
        """The names of the domain's controllers, by priority and weight."""
        service = f"_ldap._tcp.dc._msdcs.{domain}"
        found = [answer.split() for answer in self._asked(service, "SRV")]
        ordered = sorted((int(parts[0]), -int(parts[1]), parts[3].rstrip(".")) for parts in found if len(parts) == 4)
        if not ordered:
            reason = (
                f"no declared DNS server names a domain controller of {domain} (SRV {service}): correct "
                "directory.domain or network.dns.servers, or declare directory.servers"
            )
            raise WireError(Status.UNREACHABLE, reason)
        return [name for _, _, name in ordered]

    def address_of(self, name: str) -> str:
        """An address of a name; the name itself where it is one, or where no declared DNS server knows it."""
        if is_address(name):
            return name
        return next(iter(self._asked(name, "A") or self._asked(name, "AAAA")), name)

    def _asked(self, name: str, type_: str) -> list[str]:
        """The answers of the first server that has any. Servers that do not answer are not asked again."""
        for server in tuple(self._servers):
            row = self._source.ask(Question(server=server, name=name, type=type_), self._deadline)
            if row["error"] is not None:
                self._servers.remove(server)
            if isinstance(answers := row["answers"], list) and answers:
                return [str(answer) for answer in answers]
        return []
