"""The source `ldap` against a domain controller: every way to connect, to log on, and to be refused."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ldap3
import pytest

from azpreflight.connect import Redirections
from azpreflight.credentials import Credential
from azpreflight.facts.classes import ClassTable
from azpreflight.facts.collection import Collection
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.ldap.connection import PAGE_ENTRIES
from azpreflight.facts.ldap.login import Login, Nobody, WithPassword, WithTicket
from azpreflight.facts.ldap.source import LdapSource
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import FromFact, LdapQuery, Query
from azpreflight.facts.winrm.tickets import Ticket
from azpreflight.model import Phase, Profile, Sureness
from azpreflight.site.model import Directory, DirectoryTls, Dns, Network, Node, Site
from servers.directory import DOMAIN, PASSWORD, ROOT, Administrator
from servers.outside import black_hole
from servers.samba import NAME, READER, DomainController
from servers.tls import Authority

DNS_SERVER = "192.0.2.53"
BY_PASSWORD = WithPassword(Credential(READER, PASSWORD))
BY_TICKET = WithTicket(Ticket(f"reader@{DOMAIN.upper()}", ""))
ROOT_DSE = LdapQuery(base="root_dse", attributes=("dnsHostName", "domainFunctionality", "currentTime"))
CONTROLLERS = LdapQuery(
    base="domain", scope="subtree", filter="(primaryGroupID=516)", attributes=("sAMAccountName", "objectClass")
)
FOREST_CONTROLLERS = LdapQuery(
    base="root_dse", scope="subtree", filter="(sAMAccountName=dc1$)", attributes=("dNSHostName",), catalog=True
)


def query(read: LdapQuery, **bind: str | FromFact) -> Query:
    return Query(read=read, title="t", sureness=Sureness.DOCUMENTED, basis="b", bind=dict(bind))


class Asking:
    """Asks one domain controller."""

    def __init__(self, directory: DomainController) -> None:
        self._directory = directory

    def settings(self, **changes: Any) -> Directory:
        """The directory of the site, as it is declared rightly."""
        right: dict[str, Any] = {"domain": DOMAIN, "servers": (NAME,), "ca_file": str(self._directory.authority.file)}
        return Directory(**{**right, **changes})

    def __call__(
        self,
        queries: dict[str, Query] | LdapQuery,
        login: Login = BY_PASSWORD,
        *,
        page: int = PAGE_ENTRIES,
        seconds: float = 30,
        connect_to: dict[str, str] | None = None,
        **changes: Any,
    ) -> dict[str, Observation]:
        """What becomes of queries, by fact; a single one is the fact `x.y`."""
        site = Site(
            name="lab",
            profile=Profile.ACTIVE_DIRECTORY,
            nodes=(Node(name="AZL-N01", address="192.0.2.11"), Node(name="AZL-N02", address="192.0.2.12")),
            network=Network(dns=Dns(servers=(DNS_SERVER,))),
            directory=self.settings(**changes),
        )
        reached = {NAME: self._directory.address, DNS_SERVER: f"{self._directory.address}:53", **(connect_to or {})}
        wanted = {"x.y": query(queries)} if isinstance(queries, LdapQuery) else queries
        collection = Collection(site=site, phase=Phase.PRE_DEPLOY, queries=wanted, tables={}, classes=ClassTable({}))
        redirections = Redirections(f"{declared}={host}" for declared, host in reached.items())
        kept: list[Observation] = []
        LdapSource(login, redirections.reach, page).collect_site(collection, Deadline(seconds), kept.append)
        assert sorted(observation.fact for observation in kept) == sorted(wanted)
        return {observation.fact: observation for observation in kept}

    def one(self, read: LdapQuery, login: Login = BY_PASSWORD, **options: Any) -> Observation:
        """What becomes of one query."""
        return self(read, login, **options)["x.y"]

    def rows(self, read: LdapQuery, login: Login = BY_PASSWORD, **options: Any) -> Any:
        """The rows of one query, which has to be answered."""
        observation = self.one(read, login, **options)
        assert observation.status is Status.OBSERVED, observation
        return observation.value


@pytest.fixture
def ask(directory: DomainController) -> Asking:
    return Asking(directory)


@pytest.fixture
def administrator(directory: DomainController) -> Iterator[Administrator]:
    with directory.administrator() as found:
        yield found


@contextlib.contextmanager
def unit(administrator: Administrator, name: str) -> Iterator[str]:
    """An OU of its own for a test."""
    dn = f"OU={name},{ROOT}"
    administrator.add_unit(dn)
    try:
        yield dn
    finally:
        administrator.delete(dn)


class TestConnecting:
    @pytest.mark.parametrize("tls", [DirectoryTls.LDAPS, DirectoryTls.STARTTLS])
    def test_a_read_only_account_logs_on_with_its_password_over_tls(self, ask: Asking, tls: DirectoryTls) -> None:
        [row] = ask.rows(CONTROLLERS, tls=tls)
        assert row["dn"] == f"CN=DC1,OU=Domain Controllers,{ROOT}"
        assert row["sAMAccountName"] == "DC1$"
        assert row["objectClass"] == ["top", "person", "organizationalPerson", "user", "computer"]

    @pytest.mark.parametrize("tls", [DirectoryTls.LDAPS, DirectoryTls.STARTTLS])
    def test_the_global_catalog_knows_the_forest(self, ask: Asking, tls: DirectoryTls) -> None:
        assert [row["dNSHostName"] for row in ask.rows(FOREST_CONTROLLERS, tls=tls)] == [NAME]

    def test_a_password_never_goes_over_a_plain_line(self, ask: Asking) -> None:
        observation = ask.one(CONTROLLERS, tls=DirectoryTls.NONE, ca_file=None)
        assert observation.status is Status.NOT_ASKED
        assert "in the clear" in (observation.reason or "")

    @pytest.mark.parametrize("tls", [DirectoryTls.LDAPS, DirectoryTls.STARTTLS])
    def test_a_certificate_of_an_unknown_authority_ends_it_before_the_password(
        self, ask: Asking, tmp_path: Path, tls: DirectoryTls
    ) -> None:
        stranger = Authority(tmp_path, "another authority")
        observation = ask.one(CONTROLLERS, tls=tls, ca_file=str(stranger.file))
        assert observation.status is Status.UNREACHABLE
        assert "is not accepted" in (observation.reason or "")
        assert "directory.ca_file" in (observation.reason or "")

    def test_an_unknown_authority_may_be_accepted_by_declaration(self, ask: Asking, tmp_path: Path) -> None:
        stranger = Authority(tmp_path, "another authority")
        assert len(ask.rows(CONTROLLERS, ca_file=str(stranger.file), verify=False)) == 1

    @pytest.mark.parametrize("name", ["dc9.corp.example", "192.0.2.99"])
    def test_a_certificate_is_held_to_the_declared_name_wherever_the_connection_leads(
        self, ask: Asking, directory: DomainController, name: str
    ) -> None:
        observation = ask.one(CONTROLLERS, servers=(name,), connect_to={name: directory.address})
        assert observation.status is Status.UNREACHABLE
        assert f"{name} port 636 is not accepted" in (observation.reason or "")
        assert "directory.servers" in (observation.reason or "")

    def test_tls_on_a_port_that_speaks_none_is_said(self, ask: Asking, directory: DomainController) -> None:
        observation = ask.one(CONTROLLERS, connect_to={NAME: f"{directory.address}:389"})
        assert observation.status is Status.UNREACHABLE
        assert "port 389" in (observation.reason or "")

    def test_dns_names_the_controllers_where_none_is_declared(self, ask: Asking) -> None:
        assert len(ask.rows(CONTROLLERS, servers=None)) == 1

    def test_a_domain_that_dns_knows_no_controller_of_says_where_to_correct_it(self, ask: Asking) -> None:
        observation = ask.one(CONTROLLERS, servers=None, domain="other.example")
        assert observation.status is Status.UNREACHABLE
        assert "_ldap._tcp.dc._msdcs.other.example" in (observation.reason or "")

    def test_a_domain_can_be_reached_somewhere_else_as_a_whole(self, ask: Asking, directory: DomainController) -> None:
        reached = {DOMAIN: directory.address, DNS_SERVER: "127.0.0.1:1"}
        observation = ask.one(CONTROLLERS, servers=None, connect_to=reached)
        assert f"{DOMAIN} port 636 is not accepted" in (observation.reason or "")
        assert len(ask.rows(CONTROLLERS, servers=None, connect_to=reached, verify=False)) == 1

    def test_a_controller_of_another_domain_is_not_taken_for_this_one(self, ask: Asking) -> None:
        observation = ask.one(CONTROLLERS, domain="other.example")
        assert observation.status is Status.FAILED
        assert f"serves the domain {DOMAIN}" in (observation.reason or "")

    def test_a_dead_controller_is_passed_over(self, ask: Asking) -> None:
        with black_hole() as silent:
            dead = {"dc0.corp.example": "127.0.0.1:1", "dc00.corp.example": f"127.0.0.1:{silent}"}
            began = time.monotonic()
            rows = ask.rows(CONTROLLERS, servers=(*dead, NAME), connect_to=dead)
        assert len(rows) == 1
        assert time.monotonic() - began < 10

    @pytest.mark.parametrize("odd", ["dc0..corp.example", f"{'x' * 64}.corp.example", ".corp.example", "dc 0"])
    def test_one_that_has_no_possible_name_is_passed_over(
        self, ask: Asking, directory: DomainController, odd: str
    ) -> None:
        assert len(ask.rows(CONTROLLERS, servers=(odd, NAME))) == 1
        alone = ask.one(CONTROLLERS, servers=(odd,), connect_to={odd: directory.address})
        assert alone.status is Status.UNREACHABLE, alone

    def test_all_controllers_dead_says_so_of_each(self, ask: Asking) -> None:
        observation = ask.one(CONTROLLERS, connect_to={NAME: "127.0.0.1:1"})
        assert observation.status is Status.UNREACHABLE
        assert "refuses connections" in (observation.reason or "")

    def test_a_redirection_to_a_port_is_not_taken_for_the_global_catalog(
        self, ask: Asking, directory: DomainController
    ) -> None:
        with tunnel(directory.address, 636) as port:
            found = ask(
                {"x.forest": query(FOREST_CONTROLLERS), "x.domain": query(CONTROLLERS)},
                connect_to={NAME: f"127.0.0.1:{port}"},
            )
        assert found["x.domain"].status is Status.OBSERVED
        assert found["x.forest"].status is Status.NOT_ASKED
        assert "leave the port out" in (found["x.forest"].reason or "")

    def test_a_controller_that_falls_silent_costs_one_deadline(self, ask: Asking, directory: DomainController) -> None:
        with tunnel(directory.address, 636, most=9000) as port:
            began = time.monotonic()
            found = ask(
                {"x.one": query(LARGE), "x.two": query(CONTROLLERS)}, seconds=3, connect_to={NAME: f"127.0.0.1:{port}"}
            )
        assert {observation.status for observation in found.values()} == {Status.TIMED_OUT}
        assert time.monotonic() - began < 6


LARGE = LdapQuery(base="configuration", scope="subtree", attributes=("distinguishedName", "whenCreated"))


@contextlib.contextmanager
def tunnel(host: str, port: int, most: int | None = None) -> Iterator[int]:
    """A port on loopback that leads to another; `most`: bytes after which answers are held back for ever."""
    over = threading.Event()

    def pass_on(source: socket.socket, sink: socket.socket, left: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                if left is not None:
                    left -= len(data)
                    if left < 0:
                        over.wait(30)
                        return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = held.enter_context(socket.create_connection((host, port)))
                held.enter_context(here)
                threading.Thread(target=pass_on, args=(here, there, None), daemon=True).start()
                threading.Thread(target=pass_on, args=(there, here, most), daemon=True).start()

    with contextlib.ExitStack() as held, socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


class TestLoggingOn:
    def test_without_a_credential_only_what_everybody_is_told_is_asked(self, ask: Asking) -> None:
        nobody = Nobody("give --directory-username")
        found = ask({"x.root": query(ROOT_DSE), "x.domain": query(CONTROLLERS)}, nobody)
        answer: Any = found["x.root"].value
        [row] = answer
        assert row["dnsHostName"] == NAME
        assert row["domainFunctionality"] == 7
        assert (found["x.domain"].status, found["x.domain"].reason) == (Status.NOT_ASKED, nobody.reason)

    def test_a_wrong_password_is_tried_once(self, ask: Asking, administrator: Administrator) -> None:
        user = administrator.add_user("clumsy")
        try:
            login = WithPassword(Credential(f"clumsy@{DOMAIN}", "wrong"))
            wanted = {"x.a": query(CONTROLLERS), "x.b": query(FOREST_CONTROLLERS), "x.c": query(ROOT_DSE)}
            with administrator.changed(ROOT, "lockoutThreshold", 5):
                found = ask(wanted, login)
                assert administrator.raw(user, "badPwdCount") == [b"1"]
        finally:
            administrator.delete(user)
        assert found["x.c"].status is Status.OBSERVED
        assert {found[name].status for name in ("x.a", "x.b")} == {Status.REFUSED}
        assert "user name or password is wrong (data 52e); no second attempt was made" in (found["x.a"].reason or "")
        assert found["x.a"].reason == found["x.b"].reason

    @pytest.mark.parametrize(
        ("attributes", "told"),
        [
            ({"userAccountControl": 0x202}, "the account is disabled (data 533)"),
            ({"accountExpires": 131000000000000000}, "the account has expired (data 701)"),
            ({"pwdLastSet": 0}, "the password must be changed before the first logon (data 773)"),
        ],
    )
    def test_an_account_that_may_not_log_on_is_told_apart(
        self, ask: Asking, administrator: Administrator, attributes: dict[str, Any], told: str
    ) -> None:
        user = administrator.add_user("hindered", **attributes)
        try:
            observation = ask.one(CONTROLLERS, WithPassword(Credential(f"hindered@{DOMAIN}", PASSWORD)))
        finally:
            administrator.delete(user)
        assert observation.status is Status.REFUSED
        assert told in (observation.reason or "")

    def test_an_expired_password_is_told_apart(
        self, ask: Asking, administrator: Administrator, directory: DomainController
    ) -> None:
        user = administrator.add_user("outdated")
        years_ago = f"dn: {user}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: 130000000000000000\n"
        try:
            directory.edit(years_ago, "local_oid:1.3.6.1.4.1.7165.4.3.12:0")
            observation = ask.one(CONTROLLERS, WithPassword(Credential(f"outdated@{DOMAIN}", PASSWORD)))
        finally:
            administrator.delete(user)
        assert "the password has expired (data 532)" in (observation.reason or "")

    def test_a_locked_account_is_told_apart(
        self, ask: Asking, administrator: Administrator, directory: DomainController
    ) -> None:
        user = administrator.add_user("locked")
        try:
            with administrator.changed(ROOT, "lockoutThreshold", 1):
                server = ldap3.Server(directory.address, port=636, use_ssl=True)
                assert not ldap3.Connection(server, f"locked@{DOMAIN}", "wrong").bind()
                observation = ask.one(CONTROLLERS, WithPassword(Credential(f"locked@{DOMAIN}", PASSWORD)))
        finally:
            administrator.delete(user)
        assert "the account is locked (data 775)" in (observation.reason or "")

    @pytest.mark.parametrize("tls", list(DirectoryTls))
    def test_a_kerberos_ticket_logs_on_and_without_tls_seals_the_line(
        self, ask: Asking, directory: DomainController, tls: DirectoryTls
    ) -> None:
        with directory.ticket("reader"):
            found = ask({"x.a": query(CONTROLLERS), "x.b": query(FOREST_CONTROLLERS)}, BY_TICKET, tls=tls)
        assert {observation.status for observation in found.values()} == {Status.OBSERVED}

    def test_what_is_sealed_cannot_be_read_on_the_way(self, ask: Asking, directory: DomainController) -> None:
        with directory.ticket("reader"), recording_tunnel(directory.address, 389) as (port, passed):
            plain = ask.rows(CONTROLLERS, BY_TICKET, tls=DirectoryTls.NONE, connect_to={NAME: f"127.0.0.1:{port}"})
        assert len(plain) == 1
        assert b"defaultNamingContext" in bytes(passed)
        assert b"sAMAccountName" not in bytes(passed)
        assert b"DC1$" not in bytes(passed)

    def test_what_was_told_before_the_line_was_sealed_is_asked_again(
        self, ask: Asking, directory: DomainController
    ) -> None:
        sites = LdapQuery(base="configuration", scope="subtree", filter="(objectClass=site)", attributes=("cn",))
        told = query(LdapQuery(base="root_dse", attributes=("configurationNamingContext",)))
        lie = {"old": b"CN=Configuration,DC=corp", "new": b"CN=NothingInHere,DC=corp"}
        with directory.ticket("reader"), recording_tunnel(directory.address, 389, **lie) as (port, passed):
            found = ask(
                {"x.sites": query(sites), "x.root": told},
                BY_TICKET,
                tls=DirectoryTls.NONE,
                connect_to={NAME: f"127.0.0.1:{port}"},
            )
        assert b"CN=Configuration,DC=corp" in bytes(passed)
        rows: Any = {name: observation.value for name, observation in found.items()}
        assert [row["cn"] for row in rows["x.sites"]] == ["Default-First-Site-Name"]
        assert rows["x.root"][0]["configurationNamingContext"] == f"CN=Configuration,{ROOT}"

    def test_a_controller_declared_by_address_is_asked_by_the_name_that_it_has(
        self, ask: Asking, directory: DomainController
    ) -> None:
        with directory.ticket("reader"):
            assert len(ask.rows(CONTROLLERS, BY_TICKET, servers=(directory.address,), tls=DirectoryTls.NONE)) == 1

    def test_without_a_ticket_the_way_out_is_named(self, ask: Asking, directory: DomainController) -> None:
        with directory.ticket("reader"):
            (directory.folder / "tickets").unlink()
            observation = ask.one(CONTROLLERS, BY_TICKET)
        assert observation.status is Status.REFUSED
        assert "run kinit" in (observation.reason or "")

    def test_a_name_that_the_realm_does_not_know_is_said(self, ask: Asking, directory: DomainController) -> None:
        other = "dc9.corp.example"
        with directory.ticket("reader"):
            observation = ask.one(
                CONTROLLERS, BY_TICKET, servers=(other,), connect_to={other: directory.address}, tls=DirectoryTls.NONE
            )
        assert "ldap/dc9.corp.example: the domain knows no service of that name" in (observation.reason or "")


@contextlib.contextmanager
def recording_tunnel(host: str, port: int, old: bytes = b"", new: bytes = b"") -> Iterator[tuple[int, bytearray]]:
    """A tunnel that keeps what goes through it in both directions, and puts `new` in place of `old` in answers."""
    passed = bytearray()

    def pass_on(source: socket.socket, sink: socket.socket, old: bytes) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                passed.extend(data)
                sink.sendall(data.replace(old, new) if old else data)
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            here, _ = listener.accept()
            there = held.enter_context(socket.create_connection((host, port)))
            held.enter_context(here)
            threading.Thread(target=pass_on, args=(there, here, old), daemon=True).start()
            pass_on(here, there, b"")

    with contextlib.ExitStack() as held, socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], passed


class TestSearching:
    def test_a_base_that_does_not_exist_has_no_rows(self, ask: Asking) -> None:
        assert ask.rows(LdapQuery(base=f"OU=Nowhere,{ROOT}", attributes=("cn",))) == []

    def test_a_base_that_is_no_name_is_said(self, ask: Asking) -> None:
        observation = ask.one(LdapQuery(base="nonsense", attributes=("cn",)))
        assert observation.status is Status.FAILED
        assert "is no distinguished name" in (observation.reason or "")

    def test_every_attribute_is_in_every_row_by_its_own_spelling(
        self, ask: Asking, administrator: Administrator
    ) -> None:
        with unit(administrator, "typed") as dn:
            administrator.add_computer("TYPED-1", dn, enabled=False)
            [row] = ask.rows(
                LdapQuery(
                    base=dn,
                    scope="subtree",
                    filter="(objectClass=computer)",
                    attributes=(
                        *("SAMACCOUNTNAME", "userAccountControl", "objectSid", "objectGUID", "whenCreated"),
                        *(
                            "accountExpires",
                            "pwdLastSet",
                            "isCriticalSystemObject",
                            "servicePrincipalName",
                            "dNSHostName",
                        ),
                    ),
                )
            )
            assert row["SAMACCOUNTNAME"] == "TYPED-1$"
            assert row["userAccountControl"] == 0x1002
            assert row["objectSid"] == administrator.sid(f"CN=TYPED-1,{dn}")
            assert len(row["objectGUID"]) == 36
            assert row["whenCreated"].startswith("20")
            assert row["whenCreated"].endswith("Z")
            assert row["accountExpires"] == 9223372036854775807
            assert row["isCriticalSystemObject"] is False
            assert row["servicePrincipalName"] is None
            assert row["dNSHostName"] is None

    def test_the_groups_of_an_account_are_told_with_the_nested_ones(
        self, ask: Asking, administrator: Administrator
    ) -> None:
        user = administrator.add_user("nested")
        inner, outer = f"CN=inner,CN=Users,{ROOT}", f"CN=outer,CN=Users,{ROOT}"
        try:
            for group in (inner, outer):
                administrator.add(group, "group", sAMAccountName=group[3:8])
            administrator.join(user, inner)
            administrator.join(inner, outer)
            [row] = ask.rows(LdapQuery(base=user, attributes=("tokenGroups",)))
            assert {administrator.sid(inner), administrator.sid(outer)} <= set(row["tokenGroups"])
        finally:
            for dn in (user, inner, outer):
                with contextlib.suppress(AssertionError):
                    administrator.delete(dn)

    def test_rights_are_read_with_the_names_of_their_holders(self, ask: Asking, administrator: Administrator) -> None:
        user = administrator.add_user("holder")
        computer = "bf967a86-0de6-11d0-a285-00aa003049e2"
        try:
            with unit(administrator, "rights") as dn:
                sid = administrator.sid(user)
                administrator.grant(dn, f"(OA;CI;CCDC;{computer};;{sid})", "(D;;WD;;;S-1-1-0)")
                [row] = ask.rows(LdapQuery(base=dn, attributes=("nTSecurityDescriptor",)))
        finally:
            administrator.delete(user)
        rights = row["nTSecurityDescriptor"]
        assert rights["dacl_present"] is True
        assert rights["owner"].endswith("-512")
        [granted] = [entry for entry in rights["dacl"] if entry["sid"] == sid]
        assert granted == {
            "type": "allow",
            "sid": sid,
            "name": "holder",
            "mask": 0x3,
            "object_type": computer,
            "inherited_object_type": None,
            "inherited": False,
            "inherit_only": False,
            "container_inherit": True,
            "no_propagate": False,
        }
        [denied] = [entry for entry in rights["dacl"] if entry["type"] == "deny"]
        assert (denied["name"], denied["mask"]) == ("Everyone", 0x40000)
        names = {entry["name"] for entry in rights["dacl"]}
        assert {"Domain Admins", "SYSTEM", "Authenticated Users"} <= names

    def test_searches_come_back_whole_in_pages(self, ask: Asking, administrator: Administrator) -> None:
        with unit(administrator, "pages") as dn:
            for number in range(25):
                administrator.add(f"CN=c{number:02},{dn}", "contact")
            read = LdapQuery(base=dn, scope="one", attributes=("cn",))
            assert [row["cn"] for row in ask.rows(read, page=4)] == [f"c{number:02}" for number in range(25)]

    def test_more_than_a_page_of_active_directory_comes_back_whole(self, ask: Asking) -> None:
        rows = ask.rows(LdapQuery(base="configuration", scope="subtree", attributes=("objectClass",)))
        assert len(rows) > 1500
        assert len({row["dn"] for row in rows}) == len(rows)

    def test_values_of_the_site_and_of_other_facts_are_bound_and_escaped(
        self, ask: Asking, administrator: Administrator
    ) -> None:
        odd = r"odd (name)*\,=+"
        with unit(administrator, "bound") as dn:
            administrator.add(rf"CN=odd (name)*\\\,\=\+,{dn}", "contact", displayName="AZL-N01")
            administrator.add(f"CN=plain,{dn}", "contact", displayName=odd)
            found = ask(
                {
                    "x.odd": query(
                        LdapQuery(base=dn, scope="one", filter="(displayName={name})", attributes=("cn",)),
                        name="site.node_names",
                    ),
                    "x.plain": query(
                        LdapQuery(base=dn, scope="one", filter="(displayName={name})", attributes=("cn",)),
                        name=FromFact(fact="x.odd", property="cn"),
                    ),
                    "x.again": query(
                        LdapQuery(base="{dn}", attributes=("displayName",)), dn=FromFact(fact="x.odd", property="dn")
                    ),
                    "x.part": query(
                        LdapQuery(base=f"CN={{cn}},{dn}", attributes=("displayName",)),
                        cn=FromFact(fact="x.odd", property="cn"),
                    ),
                    "x.undeclared": query(LdapQuery(base="{ou}", attributes=("cn",)), ou="site.ou"),
                },
            )
        values: dict[str, Any] = {name: observation.value for name, observation in found.items()}
        assert [row["cn"] for row in values["x.odd"]] == [odd]
        assert [row["cn"] for row in values["x.plain"]] == ["plain"]
        assert [row["displayName"] for row in values["x.again"]] == ["AZL-N01"]
        assert [row["displayName"] for row in values["x.part"]] == ["AZL-N01"]
        assert found["x.undeclared"].status is Status.NOT_ASKED
        assert "site.ou" in (found["x.undeclared"].reason or "")

    def test_secrets_are_not_asked_for(self, ask: Asking) -> None:
        observation = ask.one(LdapQuery(base="domain", attributes=("cn", "UnicodePwd")))
        assert observation.status is Status.NOT_ASKED
        assert "secret" in (observation.reason or "")

    def test_rights_that_may_not_be_read_are_none(self, ask: Asking, administrator: Administrator) -> None:
        with unit(administrator, "hidden") as dn:
            sid = administrator.sid(f"CN=reader,CN=Users,{ROOT}")
            administrator.grant(dn, f"(D;;RC;;;{sid})")
            [row] = ask.rows(LdapQuery(base=dn, attributes=("nTSecurityDescriptor", "gPOptions")))
        assert row["nTSecurityDescriptor"] is None
        assert row["gPOptions"] == 1
