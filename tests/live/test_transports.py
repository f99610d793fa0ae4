"""Every way to authenticate, against a node that speaks it; and what is said when one of them does not come about."""

from __future__ import annotations

import contextlib
import datetime
import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from azpreflight import Credential, InputError, Verdict, load_site, run
from azpreflight.engine import transport as choosing
from azpreflight.facts.collection import Collection, with_dependencies
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.winrm import channel
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.source import WinrmSource
from azpreflight.facts.winrm.tickets import Ticket, principal_at_hand
from azpreflight.facts.winrm.tls import tls_context
from azpreflight.model import Phase
from azpreflight.packs.load import load_packs
from azpreflight.site.model import Site, Transport
from servers.kerberos import Realm, running_realm
from servers.lab import PASSWORD, SITE, USER, node_scenario
from servers.processes import free_port
from servers.tls import Authority, Certificate, Nginx
from servers.tls import Site as Web
from servers.winrm import Fault, Misbehaviour, WinRMServer
from servers.winrm.auth import thumbprint

PACKS = load_packs(["windows"])
ASKED = "system.computer"
PROOF = "winrm.authentication"
FACTS = ("net.ip_addresses", ASKED, "system.version", PROOF, "winrm.config")
ADDRESS = "192.0.2.11"
HOST = "azl-n01.edge.example"
PRINCIPAL = f"{USER}@EDGE.EXAMPLE"
NODE = f"  - {{name: AZL-N01, address: {ADDRESS}}}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def operator(authority: Authority) -> Certificate:
    return authority.issue("operator.edge.example", for_client=True)


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    hosts = [HOST, "azl-n02.edge.example"]
    with running_realm(tmp_path_factory.mktemp("realm"), {USER: PASSWORD, "stranger": PASSWORD}, hosts) as running:
        yield running


@pytest.fixture
def no_ticket(realm: Realm) -> None:
    (realm.folder / "tickets").unlink(missing_ok=True)


@pytest.fixture
def ticket(realm: Realm) -> Iterator[None]:
    realm.ticket(USER)
    yield
    (realm.folder / "tickets").unlink()


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    site = site_file(tmp_path_factory.mktemp("site"))
    queries = with_dependencies(FACTS, PACKS.queries)
    return Collection(load_site(site).site, Phase.PRE_DEPLOY, queries, {}, PACKS.classes)


def site_file(folder: Path, winrm: str = "", *, directory: bool = False) -> Path:
    text = SITE % {"nodes": NODE}
    if directory:
        text = text.replace("profile: local-identity", "profile: active-directory")
        text += "directory: {domain: edge.example, ou: 'OU=A,DC=edge,DC=example', deployment_user: lcm}\n"
    path = folder / "site.yaml"
    path.write_text(text + (f"winrm: {{{winrm}}}\n" if winrm else ""))
    return path


def declared(folder: Path, winrm: str = "", *, directory: bool = False) -> Site:
    return load_site(site_file(folder, winrm, directory=directory)).site


def switched(**settings: bool) -> Any:
    """A node whose service takes these ways to authenticate."""
    return node_scenario(1).patched({"config": {"Service": {"Auth": settings}}})


def asked(
    collection: Collection, endpoint: Endpoint, *, user: str = USER, password: str = PASSWORD, seconds: float = 30
) -> dict[str, Observation]:
    """What came of each fact, in bounded time."""
    found: list[Observation] = []
    source = WinrmSource(Credential(user, password), lambda _: endpoint)
    started = time.monotonic()
    source.collect_node(collection.site.nodes[0], collection, Deadline(seconds), found.append)
    assert time.monotonic() - started < seconds + 10
    assert sorted(observation.fact for observation in found) == sorted(FACTS)
    return {observation.fact: observation for observation in found}


def plain(server: WinRMServer, **changes: Any) -> Endpoint:
    return Endpoint("127.0.0.1", server.http_port, https=False, certificate_name=ADDRESS, **changes)


def secure(server: WinRMServer, authority: Authority, **changes: Any) -> Endpoint:
    return Endpoint(
        "127.0.0.1", server.https_port, https=True, certificate_name=ADDRESS, ca_file=str(authority.file), **changes
    )


def reason(found: Mapping[str, Observation]) -> str:
    """Why nothing could be asked: the same for every fact, on one line, of a bearable length."""
    text = found[ASKED].reason or ""
    assert {o.reason for name, o in found.items() if name != PROOF} == {text}
    assert text.isprintable()
    assert 0 < len(text) < 700
    assert PASSWORD not in text
    return text


def everything_observed(found: Mapping[str, Observation]) -> bool:
    return {observation.status for observation in found.values()} == {Status.OBSERVED}


def proof(found: Mapping[str, Observation]) -> tuple[str, str, str, bool]:
    value = found[PROOF].value
    return value["outcome"], value["user"], value["transport"], value["encrypted"]


# NTLM and Basic


def test_ntlm_over_http_encrypts_messages(collection: Collection) -> None:
    with WinRMServer(node_scenario(1), {USER: PASSWORD}) as server:
        found = asked(collection, plain(server))
        assert {r.encrypted for r in server.log.records if r.operation not in ("Anonymous", "Negotiate", "Setup")} == {
            True
        }
    assert everything_observed(found)
    assert proof(found) == ("accepted", USER, "ntlm", True)


@pytest.mark.parametrize("method", ["ntlm", "basic"])
def test_ntlm_and_basic_go_over_https(collection: Collection, authority: Authority, method: Any) -> None:
    with WinRMServer(node_scenario(1), {USER: PASSWORD}, http=False, certificate=authority.issue(ADDRESS)) as server:
        found = asked(collection, secure(server, authority, transport=method))
        rejected = asked(collection, secure(server, authority, transport=method), password="not the one")
        assert [accepted for _, accepted in server.log.authentications if not accepted] == [False]
    assert everything_observed(found)
    assert proof(found) == ("accepted", USER, method, True)
    assert proof(rejected)[0] == "rejected"
    assert "wrong user or password" in reason(rejected)


def test_basic_over_plain_http_is_refused_before_anybody_is_contacted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="password in the clear"):
        run(load_site(site_file(tmp_path, "transport: basic")), credential=Credential(USER, PASSWORD))


# Client certificates


def mapped_server(authority: Authority, certificate: Certificate, **changes: Any) -> WinRMServer:
    der = x509.load_pem_x509_certificate(certificate.certificate.read_bytes())
    from cryptography.hazmat.primitives.serialization import Encoding

    return WinRMServer(
        switched(Certificate=True),
        {USER: PASSWORD},
        certificate=authority.issue(ADDRESS),
        client_authority=authority.file,
        client_certificates={thumbprint(der.public_bytes(Encoding.DER)): USER},
        **changes,
    )


def by_certificate(server: WinRMServer, authority: Authority, certificate: Certificate) -> Endpoint:
    return secure(
        server,
        authority,
        transport="certificate",
        client_certificate=str(certificate.certificate),
        client_key=str(certificate.key),
    )


def test_a_client_certificate_logs_on_as_the_user_it_is_mapped_to(
    collection: Collection, authority: Authority, operator: Certificate
) -> None:
    with mapped_server(authority, operator) as server:
        found = asked(collection, by_certificate(server, authority, operator), user="CN=operator", password="")
        assert set(server.log.authentications) == {(USER, True)}
        assert {record.user for record in server.log.records} == {USER}
        assert server.log.forbidden == []
        assert server.log.open_shells == []
    assert everything_observed(found)
    assert proof(found) == ("accepted", "CN=operator", "certificate", True)


def test_a_certificate_that_nobody_is_mapped_to_is_rejected_once(
    collection: Collection, authority: Authority, operator: Certificate
) -> None:
    with mapped_server(authority, operator) as server:
        other = authority.issue("somebody.else.example", for_client=True)
        found = asked(collection, by_certificate(server, authority, other), user="CN=else", password="")
        assert [accepted for _, accepted in server.log.authentications] == [False]
        assert server.log.requests == 1
    assert found[PROOF].value["outcome"] == "rejected"
    assert "no account is mapped" in reason(found)
    assert "no second attempt" in reason(found)


def test_a_certificate_of_an_authority_that_the_node_does_not_know_ends_in_tls(
    collection: Collection, authority: Authority, operator: Certificate, tmp_path: Path
) -> None:
    foreign = Authority(tmp_path, "elsewhere").issue("operator.edge.example", for_client=True)
    with mapped_server(authority, operator) as server:
        found = asked(collection, by_certificate(server, authority, foreign), user="CN=else", password="")
        assert server.log.authentications == []
    assert found[ASKED].status is Status.UNREACHABLE
    assert "client certificate" in reason(found)


def test_a_client_certificate_keeps_to_tls_that_windows_can_ask_for_it_in(operator: Certificate) -> None:
    files = str(operator.certificate), str(operator.key)
    assert tls_context(None, files, verify=True).maximum_version is ssl.TLSVersion.TLSv1_2
    assert tls_context(None, None, verify=True).maximum_version is not ssl.TLSVersion.TLSv1_2


def test_the_command_line_asks_for_no_password_when_there_is_a_certificate(
    authority: Authority, operator: Certificate, tmp_path: Path
) -> None:
    winrm = f"transport: certificate, https: true, ca_file: '{authority.file}'"
    winrm += f", client_certificate: '{operator.certificate}', client_key: '{operator.key}'"
    site = site_file(tmp_path, winrm)
    with mapped_server(authority, operator, http=False) as server:
        done = command(site, f"--connect-to={ADDRESS}=127.0.0.1:{server.https_port}", "--rule=AZL-ACC-010")
        assert server.log.open_shells == []
        assert {accepted for _, accepted in server.log.authentications} == {True}
    report = json.loads(done.stdout)
    assert report["run"]["transport"] == "certificate"
    assert done.returncode in (0, 1, 3)
    proofs = [e["value"] for r in report["results"] for e in r["evidence"] if e["fact"] == PROOF]
    assert proofs
    assert {value["user"] for value in proofs} == {"CN=operator.edge.example"}


def command(site: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AZPREFLIGHT")}
    return subprocess.run(
        [sys.executable, "-m", "azpreflight", "run", str(site), "--json=-", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**clean, **environment},
    )


def test_a_certificate_that_cannot_be_used_is_bad_input(
    operator: Certificate, authority: Authority, tmp_path: Path
) -> None:
    other = authority.issue("other.example")
    given = f"transport: certificate, https: true, client_certificate: '{operator.certificate}'"
    cases = {
        "transport: certificate": "set winrm.https",
        "transport: certificate, https: true": "needs winrm.client_certificate",
        f"{given}, client_key: /no/key": "no file",
        f"{given}, client_key: '{other.key}'": "no certificate with its key",
    }
    for winrm, words in cases.items():
        with pytest.raises(InputError, match=words):
            run(load_site(site_file(tmp_path, winrm)))


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for_on_the_terminal(
    operator: Certificate, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key(operator.key.read_bytes(), None)
    sealed = tmp_path / "sealed.key"
    locked = form.BestAvailableEncryption(b"secret")
    sealed.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked))
    winrm = f"transport: certificate, https: true, client_certificate: '{operator.certificate}', client_key: '{sealed}'"
    done = command(site_file(tmp_path, winrm))
    assert done.returncode == 2
    assert "without a passphrase" in done.stderr


# Kerberos


def by_ticket(server: WinRMServer, password: str = "", **changes: Any) -> Endpoint:
    changes = {"service_host": HOST, "ticket": Ticket(PRINCIPAL, password), **changes}
    return plain(server, transport="kerberos", **changes)


def kerberos_node(realm: Realm, **changes: Any) -> WinRMServer:
    return WinRMServer(node_scenario(1), {USER: PASSWORD}, keytab=realm.keytab(HOST), **changes)


def test_a_ticket_authenticates_and_encrypts_messages(collection: Collection, realm: Realm, ticket: None) -> None:
    with kerberos_node(realm) as server:
        found = asked(collection, by_ticket(server), user=PRINCIPAL, password="")
        assert set(server.log.authentications) == {(PRINCIPAL, True)}
        encrypted = [r.encrypted for r in server.log.records if r.operation not in ("Anonymous", "Setup")]
        assert set(encrypted) == {True}
        assert server.log.open_shells == []
    assert everything_observed(found)
    assert proof(found) == ("accepted", PRINCIPAL, "kerberos", True)


def test_kerberos_goes_over_https(collection: Collection, realm: Realm, ticket: None, authority: Authority) -> None:
    with kerberos_node(realm, certificate=authority.issue(ADDRESS)) as server:
        endpoint = secure(server, authority, transport="kerberos", service_host=HOST, ticket=Ticket(PRINCIPAL, ""))
        found = asked(collection, endpoint, user=PRINCIPAL, password="")
        assert set(server.log.authentications) == {(PRINCIPAL, True)}
    assert everything_observed(found)


def test_a_password_gets_a_ticket_of_its_own_that_is_forgotten(
    collection: Collection, realm: Realm, no_ticket: None
) -> None:
    with kerberos_node(realm) as server:
        endpoint = by_ticket(server, PASSWORD)
        assert endpoint.ticket is not None
        found = asked(collection, endpoint, user=PRINCIPAL)
        cache = os.environ["KRB5CCNAME"].removeprefix("FILE:")
        assert Path(cache).exists()
        endpoint.ticket.close()
    assert everything_observed(found)
    assert not Path(cache).exists()
    assert os.environ["KRB5CCNAME"] == realm.environment["KRB5CCNAME"]
    assert principal_at_hand() is None


def test_a_wrong_password_is_tried_once_at_the_domain_and_never_at_a_node(
    collection: Collection, realm: Realm, no_ticket: None
) -> None:
    failed = realm.failures
    with kerberos_node(realm) as server:
        endpoint = by_ticket(server, "not the one")
        assert endpoint.ticket is not None
        found = asked(collection, endpoint, user=PRINCIPAL, password="not the one")
        again = asked(collection, endpoint, user=PRINCIPAL, password="not the one")
        endpoint.ticket.close()
        assert server.log.requests == 0
    assert realm.failures == failed + 1
    assert reason(found) == reason(again)
    assert "the domain rejected the credential" in reason(found)
    assert found[PROOF].value["outcome"] == "rejected"


def test_a_node_that_the_domain_does_not_know_is_named(collection: Collection, realm: Realm, ticket: None) -> None:
    with kerberos_node(realm) as server:
        endpoint = by_ticket(server, service_host="nobody.edge.example")
        found = asked(collection, endpoint, user=PRINCIPAL, password="")
        assert server.log.authentications == []
    assert found[ASKED].status is Status.REFUSED
    assert "HTTP/nobody.edge.example" in reason(found)
    assert "knows no service of that name" in reason(found)


def test_a_ticket_for_another_machine_is_rejected_and_shown_once(
    collection: Collection, realm: Realm, ticket: None
) -> None:
    with kerberos_node(realm) as server:
        endpoint = by_ticket(server, service_host="azl-n02.edge.example")
        found = asked(collection, endpoint, user=PRINCIPAL, password="")
        assert [accepted for _, accepted in server.log.authentications] == [False]
    assert found[PROOF].value["outcome"] == "rejected"
    assert "the ticket of azl-ops@EDGE.EXAMPLE was rejected" in reason(found)


def test_a_clock_that_is_far_off_is_told_with_a_rejected_ticket(
    collection: Collection, realm: Realm, ticket: None
) -> None:
    with kerberos_node(realm, clock_ahead=1200) as server:
        endpoint = by_ticket(server, service_host="azl-n02.edge.example")
        found = asked(collection, endpoint, user=PRINCIPAL, password="")
    assert "its clock is 20 minutes ahead of" in reason(found)


def test_without_a_ticket_kerberos_says_kinit(collection: Collection, realm: Realm, no_ticket: None) -> None:
    with kerberos_node(realm) as server:
        found = asked(collection, by_ticket(server), user=PRINCIPAL, password="")
        assert server.log.authentications == []
    assert "kinit" in reason(found)


def test_a_domain_controller_that_does_not_answer_is_told_from_a_wrong_password(
    collection: Collection, tmp_path: Path, realm: Realm, no_ticket: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (realm.folder / "krb5.conf").read_text()
    moved = tmp_path / "krb5.conf"
    moved.write_text(text.replace(f":{realm.port}", f":{free_port()}"))
    monkeypatch.setenv("KRB5_CONFIG", str(moved))
    with kerberos_node(realm) as server:
        endpoint = by_ticket(server, PASSWORD)
        assert endpoint.ticket is not None
        found = asked(collection, endpoint, user=PRINCIPAL)
        endpoint.ticket.close()
    assert found[ASKED].status is Status.UNREACHABLE
    assert "no domain controller answers" in reason(found)


def test_a_server_that_cannot_prove_to_be_the_node_is_asked_nothing(
    collection: Collection, realm: Realm, ticket: None, tmp_path: Path
) -> None:
    with Nginx(tmp_path / "nginx", {"http": Web(None)}) as web:
        endpoint = Endpoint("127.0.0.1", web.port("http"), https=False, certificate_name="x")
        kerberos = by_ticket_at(endpoint)
        found = asked(collection, kerberos, user=PRINCIPAL, password="")
    assert "did not prove by Kerberos" in reason(found)


def by_ticket_at(endpoint: Endpoint) -> Endpoint:
    return Endpoint(
        endpoint.host,
        endpoint.port,
        https=endpoint.https,
        certificate_name="x",
        transport="kerberos",
        service_host=HOST,
        ticket=Ticket(PRINCIPAL, ""),
    )


def test_kerberos_needs_a_realm_and_says_how_to_write_it(tmp_path: Path) -> None:
    site = load_site(site_file(tmp_path, "transport: kerberos", directory=True))
    with pytest.raises(InputError, match=r"--username azl-ops@EDGE\.EXAMPLE"):
        run(site, credential=Credential("EDGE\\azl-ops", PASSWORD))


@pytest.mark.parametrize("extra", ["kerberos", "credssp"])
def test_a_missing_extra_is_bad_input_that_names_the_command(
    tmp_path: Path, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    site = load_site(site_file(tmp_path, f"transport: {extra}", directory=True))
    with pytest.raises(InputError, match=rf"pip install 'azpreflight\[{extra}\]'"):
        run(site, credential=Credential(PRINCIPAL, PASSWORD))


# What `auto` chooses


def test_auto_takes_the_ticket_in_a_directory_and_says_so(tmp_path: Path, realm: Realm, ticket: None) -> None:
    site = site_file(tmp_path, directory=True)
    with kerberos_node(realm) as server:
        reached = f"--connect-to={ADDRESS}=127.0.0.1:{server.http_port}"
        done = command(site, reached, "--transport=auto", "--rule=AZL-ACC-010", "--rule=AZL-RMT-*")
        assert set(server.log.authentications) == {(PRINCIPAL, True)}
    assert done.returncode in (0, 1, 3), done.stderr
    report = json.loads(done.stdout)
    assert report["run"]["transport"].startswith("kerberos, chosen since")
    assert "kerberos, chosen since" in done.stderr


def test_auto_takes_a_password_with_a_realm_to_the_domain(tmp_path: Path, realm: Realm, no_ticket: None) -> None:
    site = load_site(site_file(tmp_path, "transport: auto", directory=True))
    with kerberos_node(realm) as server:
        reached = {ADDRESS: f"127.0.0.1:{server.http_port}"}
        report = run(site, credential=Credential(PRINCIPAL, PASSWORD), connect_to=reached, rules=["AZL-ACC-010"])
        assert set(server.log.authentications) == {(PRINCIPAL, True)}
    assert (report.run.transport or "").startswith("kerberos")
    assert os.environ["KRB5CCNAME"] == realm.environment["KRB5CCNAME"]


def test_auto_does_not_fall_back_to_ntlm_when_the_ticket_is_rejected(
    tmp_path: Path, realm: Realm, no_ticket: None
) -> None:
    site = load_site(site_file(tmp_path, "transport: auto", directory=True))
    with WinRMServer(node_scenario(1), {USER: PASSWORD, PRINCIPAL: PASSWORD}) as server:
        # A node outside the domain, which would take the same user and password over NTLM.
        reached = {ADDRESS: f"127.0.0.1:{server.http_port}"}
        report = run(site, credential=Credential(PRINCIPAL, PASSWORD), connect_to=reached, rules=["AZL-ACC-010"])
        assert not any(accepted for _, accepted in server.log.authentications)
        assert server.log.requests <= 2
    assert report.verdict is not Verdict.READY


NTLM_SINCE = [
    (False, PRINCIPAL, "no Active Directory"),
    (True, "azl-ops", "without a realm"),
]


@pytest.mark.parametrize(("directory", "user", "words"), NTLM_SINCE)
def test_auto_takes_ntlm_otherwise_and_says_why(tmp_path: Path, directory: bool, user: str, words: str) -> None:
    site = declared(tmp_path, directory=directory)
    choice = choosing.choose(Transport.AUTO, site, Credential(user, PASSWORD))
    assert choice.method == "ntlm"
    assert words in (choice.reason or "")


def test_auto_takes_ntlm_where_kerberos_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    choice = choosing.choose(Transport.AUTO, declared(tmp_path, directory=True), Credential(PRINCIPAL, PASSWORD))
    assert str(choice) == "ntlm, chosen since azpreflight[kerberos] is not installed"


def test_auto_never_chooses_basic_though_it_is_all_that_the_node_offers(
    collection: Collection, authority: Authority, tmp_path: Path
) -> None:
    site = load_site(site_file(tmp_path, f"transport: auto, https: true, ca_file: '{authority.file}'"))
    server = WinRMServer(switched(Negotiate=False), {USER: PASSWORD}, http=False, certificate=authority.issue(ADDRESS))
    with server:
        reached = {ADDRESS: f"127.0.0.1:{server.https_port}"}
        report = run(site, credential=Credential(USER, PASSWORD), connect_to=reached, rules=["AZL-ACC-010"])
        assert server.log.authentications == []
    assert (report.run.transport or "").startswith("ntlm, chosen")
    assert any("offers only Basic" in (result.reason or "") for result in report.results)


def test_without_any_password_ntlm_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a password"):
        run(load_site(site_file(tmp_path)), credential=Credential(USER, ""))


# CredSSP


def test_credssp_authenticates_and_encrypts_messages(collection: Collection) -> None:
    with WinRMServer(switched(CredSSP=True), {USER: PASSWORD}) as server:
        found = asked(collection, plain(server, transport="credssp"))
        assert set(server.log.authentications) == {(USER, True)}
        encrypted = [r for r in server.log.records if r.encrypted]
        assert max(record.response_size for record in encrypted) > 3000
        assert server.log.open_shells == []
    assert everything_observed(found)
    assert proof(found) == ("accepted", USER, "credssp", True)


def test_a_wrong_password_over_credssp_is_tried_once(collection: Collection) -> None:
    with WinRMServer(switched(CredSSP=True), {USER: PASSWORD}) as server:
        found = asked(collection, plain(server, transport="credssp"), password="not the one")
        assert not any(accepted for _, accepted in server.log.authentications)
        assert len({record.connection for record in server.log.records}) == 1
    assert found[PROOF].value["outcome"] == "rejected"
    assert "rejected over CredSSP" in reason(found)


def test_credssp_tries_no_second_mechanism_at_the_domain(collection: Collection, realm: Realm, no_ticket: None) -> None:
    failed = realm.failures
    with WinRMServer(switched(CredSSP=True), {USER: PASSWORD}) as server:
        found = asked(collection, plain(server, transport="credssp"), user=PRINCIPAL, password="not the one")
    assert found[PROOF].value["outcome"] == "rejected"
    assert realm.failures == failed


def test_a_node_without_credssp_says_what_it_offers(collection: Collection) -> None:
    with WinRMServer(node_scenario(1), {USER: PASSWORD}) as server:
        found = asked(collection, plain(server, transport="credssp"))
        assert server.log.authentications == []
    assert "offers only Negotiate, and credssp was asked for" in reason(found)
    assert "Service\\Auth\\CredSSP" in reason(found)


# What is said when it does not come about


def test_a_node_that_offers_no_negotiate_says_what_it_offers_and_gets_no_password(
    collection: Collection, authority: Authority, realm: Realm
) -> None:
    cases = [
        (switched(Negotiate=False), "only Kerberos and Basic"),
        (switched(Negotiate=False, Basic=False), "only Kerberos"),
    ]
    for scenario, words in cases:
        certificate = authority.issue(ADDRESS)
        with WinRMServer(scenario, {USER: PASSWORD}, keytab=realm.keytab(HOST), certificate=certificate) as server:
            found = asked(collection, secure(server, authority))
            assert server.log.authentications == []
        assert found[ASKED].status is Status.REFUSED
        assert found[PROOF].status is Status.REFUSED
        assert words in reason(found)
        assert "Service\\Auth\\Negotiate" in reason(found)


def test_a_node_that_offers_nothing_says_so(collection: Collection) -> None:
    with WinRMServer(switched(Negotiate=False, Basic=False), {USER: PASSWORD}) as server:
        found = asked(collection, plain(server))
    assert "offers no way to authenticate" in reason(found)


def test_basic_says_that_it_takes_local_accounts_only(collection: Collection, authority: Authority) -> None:
    with WinRMServer(node_scenario(1), {USER: PASSWORD}, certificate=authority.issue(ADDRESS)) as server:
        endpoint = secure(server, authority, transport="basic")
        found = asked(collection, endpoint, user="EDGE\\azl-ops")
        assert [accepted for _, accepted in server.log.authentications] == [False]
    assert "Basic takes local accounts only" in reason(found)


def test_a_rejected_account_without_a_domain_is_said_to_be_local(collection: Collection) -> None:
    with WinRMServer(node_scenario(1), {USER: "another"}) as server:
        found = asked(collection, plain(server))
        assert server.log.authentications == [(USER, False)]
    assert "azl-ops is taken for a local account" in reason(found)


@pytest.mark.parametrize(("ahead", "words"), [(1200.0, "20 minutes ahead of"), (-90_000.0, "25 hours behind")])
def test_a_clock_that_is_far_off_is_told_with_the_rejection(collection: Collection, ahead: float, words: str) -> None:
    with WinRMServer(node_scenario(1), {USER: "another"}, clock_ahead=ahead) as server:
        found = asked(collection, plain(server))
    assert f"its clock is {words}" in reason(found)


def test_a_clock_that_is_right_is_not_mentioned(collection: Collection) -> None:
    with WinRMServer(node_scenario(1), {USER: "another"}, clock_ahead=60) as server:
        found = asked(collection, plain(server))
    assert "clock" not in reason(found)


def test_a_quota_of_shells_is_named(collection: Collection) -> None:
    from azpreflight.facts.query import ProgramQuery

    name = next(name for name, query in PACKS.queries.items() if isinstance(query.read, ProgramQuery))
    queries = with_dependencies([name, PROOF], PACKS.queries)
    more = Collection(collection.site, collection.phase, queries, {}, collection.classes)
    found: list[Observation] = []
    quota = Misbehaviour("fault", operation="Create", fault=Fault(2150859173))
    with WinRMServer(node_scenario(1), {USER: PASSWORD}, misbehaviours=[quota]) as server:
        source = WinrmSource(Credential(USER, PASSWORD), lambda _: plain(server))
        source.collect_node(more.site.nodes[0], more, Deadline(30), found.append)
    told = {observation.fact: observation for observation in found}[name]
    assert told.status is Status.REFUSED
    assert "MaxShellsPerUser" in (told.reason or "")


@contextlib.contextmanager
def dropping(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port that leaves connections unanswered, as a firewall does: its queue is full and nobody takes from it."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def test_a_firewall_that_drops_packets_is_told(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "CONNECT_SECONDS", 1.0)
    with dropping() as port:
        found = asked(collection, Endpoint("127.0.0.1", port, https=False, certificate_name="x"))
    assert found[ASKED].status is Status.UNREACHABLE
    assert "a firewall drops the packets" in reason(found)
    assert "is open, though" not in reason(found)


OTHER_PORTS = [(False, 5985, 5986, "set winrm.https to true"), (True, 5986, 5985, "set winrm.https to false")]


@pytest.mark.parametrize(("https", "asked_port", "open_port", "words"), OTHER_PORTS)
@pytest.mark.parametrize("silent", [False, True])
def test_the_other_port_of_winrm_is_looked_at_and_named(
    collection: Collection,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    https: bool,
    asked_port: int,
    open_port: int,
    words: str,
    silent: bool,
) -> None:
    # An address that no other test has: WinRM's own ports are taken on it.
    host = f"127.0.85.{1 + 2 * https + silent}"
    monkeypatch.setattr(channel, "CONNECT_SECONDS", 1.0)
    ports = (open_port, 0) if https else (0, open_port)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(
            WinRMServer(
                node_scenario(1), {USER: PASSWORD}, host=host, ports=ports, certificate=authority.issue(ADDRESS)
            )
        )
        if silent:
            stack.enter_context(dropping(host, asked_port))
        found = asked(collection, Endpoint(host, asked_port, https=https, certificate_name=ADDRESS))
        assert server.log.requests == 0
    assert found[ASKED].status is Status.UNREACHABLE
    assert f"port {open_port} of the same machine is open, though: {words}" in reason(found)


def test_both_ports_closed_names_neither(collection: Collection) -> None:
    found = asked(collection, Endpoint("127.0.85.9", 5985, https=False, certificate_name="x"))
    assert "refuses connections" in reason(found)
    assert "5986" not in reason(found)


def test_plain_http_to_the_https_port_is_told(collection: Collection, authority: Authority, tmp_path: Path) -> None:
    with WinRMServer(node_scenario(1), {USER: PASSWORD}, http=False, certificate=authority.issue(ADDRESS)) as server:
        found = asked(collection, Endpoint("127.0.0.1", server.https_port, https=False, certificate_name="x"))
        assert server.log.requests == 0
    assert "set winrm.https to true" in reason(found)
    with Nginx(tmp_path / "nginx", {"http": Web(None), "tls": Web(authority.issue(ADDRESS))}) as web:
        found = asked(collection, Endpoint("127.0.0.1", web.port("tls"), https=False, certificate_name="x"))
    assert "set winrm.https to true" in reason(found)


def test_tls_to_the_http_port_is_told(collection: Collection) -> None:
    with WinRMServer(node_scenario(1), {USER: PASSWORD}) as server:
        found = asked(collection, Endpoint("127.0.0.1", server.http_port, https=True, certificate_name="x"))
        assert server.log.requests == 0
    assert found[ASKED].status is Status.UNREACHABLE
    assert "set winrm.https to false" in reason(found)


@pytest.mark.parametrize("status", [200, 403, 404, 407, 503])
@pytest.mark.parametrize("tls", [False, True])
def test_another_web_server_is_told_from_winrm(
    collection: Collection, authority: Authority, tmp_path: Path, status: int, tls: bool
) -> None:
    pages = {"http": Web(None), "web": Web(authority.issue(ADDRESS) if tls else None, status=status)}
    with Nginx(tmp_path / "nginx", pages) as web:
        endpoint = Endpoint(
            "127.0.0.1", web.port("web"), https=tls, certificate_name=ADDRESS, ca_file=str(authority.file)
        )
        found = asked(collection, endpoint)
    assert f"HTTP status {status}" in reason(found)
    assert ("a proxy" if status == 407 else "nginx answers there, not WinRM") in reason(found)
    assert found[PROOF].status is not Status.OBSERVED


def test_a_node_without_a_listener_is_told_from_another_web_server(collection: Collection) -> None:
    gone = Misbehaviour("http_status", status=404, operation="Anonymous")
    with WinRMServer(node_scenario(1), {USER: PASSWORD}, misbehaviours=[gone]) as server:
        found = asked(collection, plain(server))
    assert "winrm quickconfig" in reason(found)


class Leading(http.server.BaseHTTPRequestHandler):
    """Sends everybody on to another server."""

    target = ""

    def do_POST(self) -> None:
        self.send_response(307)
        self.send_header("Location", self.target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_no_credential_follows_a_redirect(collection: Collection) -> None:
    with WinRMServer(node_scenario(1), {USER: PASSWORD}) as server:
        target = f"http://127.0.0.1:{server.http_port}/wsman"
        handler = type("Here", (Leading,), {"target": target})
        with http.server.HTTPServer(("127.0.0.1", 0), handler) as leading:
            thread = threading.Thread(target=leading.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            thread.start()
            found = asked(collection, Endpoint("127.0.0.1", leading.server_port, https=False, certificate_name="x"))
            leading.shutdown()
            thread.join(5)
        assert server.log.requests == 0
    assert f"leads on to {target}" in reason(found)


def today(days: int) -> str:
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)).date().isoformat()


CERTIFICATES: list[tuple[tuple[str, ...], dict[str, bool], tuple[str, ...]]] = [
    (("elsewhere.example", "192.0.2.99"), {}, ("for elsewhere.example, 192.0.2.99", "declared name or address")),
    ((ADDRESS,), {"expired": True}, ("expired", f"to {today(-10)}", "renew it")),
    ((ADDRESS,), {"not_yet_valid": True}, ("not yet valid", f"from {today(10)}", "correct the clock")),
]


@pytest.mark.parametrize(("names", "options", "words"), CERTIFICATES)
def test_a_certificate_that_is_not_accepted_is_described(
    collection: Collection,
    authority: Authority,
    names: tuple[str, ...],
    options: dict[str, bool],
    words: tuple[str, ...],
) -> None:
    with WinRMServer(
        node_scenario(1), {USER: PASSWORD}, http=False, certificate=authority.issue(*names, **options)
    ) as server:
        found = asked(collection, secure(server, authority))
        assert server.log.requests == 0
    assert found[ASKED].status is Status.UNREACHABLE
    assert "issued by azpreflight tests" in reason(found)
    for word in words:
        assert word in reason(found)


def test_an_unknown_authority_is_named_with_the_setting(
    collection: Collection, authority: Authority, tmp_path: Path
) -> None:
    theirs = Authority(tmp_path, "Their Own CA")
    with WinRMServer(node_scenario(1), {USER: PASSWORD}, http=False, certificate=theirs.issue(ADDRESS)) as server:
        found = asked(collection, secure(server, authority))
        assert server.log.requests == 0
    assert "issued by Their Own CA" in reason(found)
    assert "winrm.ca_file" in reason(found)
