"""Raw answers: what `collect --raw` keeps of a node, that it holds no password, and that it replays as the node did."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from azpreflight import Credential, InputError, collect, load_site
from azpreflight.engine.gather import Facts, Limits, gather
from azpreflight.engine.run import Options, Preflight
from azpreflight.facts.collection import Collection
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.observation import Observation, Status
from azpreflight.facts.query import CimQuery, CurlQuery, ProgramQuery, RegistryQuery, WinrmQuery
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.masking import Mask, without_secret_values
from azpreflight.facts.winrm.raw import RawFolder
from azpreflight.facts.winrm.replay import RawReplay
from azpreflight.facts.winrm.source import WinrmSource
from azpreflight.packs.load import load_packs
from azpreflight.site.model import Node
from servers.lab import PASSWORD, Lab, node_scenario, running_lab
from servers.winrm import Misbehaviour, Scenario

SECRET = 'Tür & "Tor" <9>'


def endpoint_of(node: Node) -> Endpoint:
    return Endpoint(host=node.name, port=5985, https=False, certificate_name=node.name)


def reached(lab: Lab) -> Endpoint:
    """The one node of a lab."""
    (server,) = lab.servers.values()
    return Endpoint(host="127.0.0.1", port=server.http_port, https=False, certificate_name="AZL-N01")


def raw_of(lab: Lab, folder: Path) -> Facts:
    """The facts of a collection, whose raw answers stay in `folder/raw`."""
    return collect(
        load_site(lab.site),
        folder / "recording",
        credential=lab.credential,
        connect_to=lab.connect_to,
        raw=folder / "raw",
    )


def replayed(lab: Lab, folder: Path) -> Facts:
    """The facts that the same code makes of raw answers alone."""
    collection = Preflight(load_site(lab.site), Options()).plan.collection
    source = WinrmSource(Credential(lab.credential.username, ""), endpoint_of, channel_of=RawReplay(folder).channel_of)
    return gather(collection, source, (), Limits())


def comparable(facts: Facts) -> dict[tuple[str, str], tuple[Status, object, str]]:
    """What was observed of nodes, without the moment. A reason may name the address, which is another in a replay."""
    return {
        key: (o.status, o.value, re.sub(r"https?://[^ ]+", "URL", o.reason or ""))
        for key, o in facts.items()
        if o.source == "winrm"
    }


def wanted(lab: Lab) -> Collection:
    """Every fact that the packs know, whether a rule reads it or not."""
    collection = Preflight(load_site(lab.site), Options()).plan.collection
    known = load_packs().queries
    queries = {
        name: query
        for name, query in known.items()
        if not isinstance(query.read, CurlQuery) or query.read.table is None or name in collection.tables
    }
    return replace(collection, queries=queries)


def texts(folder: Path) -> str:
    return "\n".join(path.read_text("utf-8", "replace") for path in sorted(folder.rglob("*.*")))


@pytest.mark.parametrize("scenario", ["healthy", "clustered"])
def test_a_replay_gives_the_observations_of_the_live_run(tmp_path: Path, scenario: str) -> None:
    nodes = {f"AZL-N0{number}": node_scenario(number, scenario) for number in (1, 2)}
    with running_lab(tmp_path, nodes) as lab:
        live = raw_of(lab, tmp_path)
        lab.assert_only_read()
    again = replayed(lab, tmp_path / "raw")
    assert comparable(again) == comparable(live)
    observed = [o for o in again.values() if o.status is Status.OBSERVED]
    assert len(observed) > 20


def test_every_fact_that_the_packs_know_replays(tmp_path: Path) -> None:
    with running_lab(tmp_path, 1) as lab:
        kept = RawFolder(tmp_path / "raw", lab.credential)
        source = WinrmSource(lab.credential, lambda _: reached(lab), channel_of=kept.channel_of)
        live = gather(wanted(lab), source, (), Limits())
    source = WinrmSource(
        Credential(lab.credential.username, ""), endpoint_of, channel_of=RawReplay(tmp_path / "raw").channel_of
    )
    again = gather(wanted(lab), source, (), Limits())
    assert comparable(again) == comparable(live)
    queries = wanted(lab).queries
    kinds = {type(queries[fact].read) for (_, fact), o in again.items() if o.status is Status.OBSERVED}
    assert kinds >= {CimQuery, CurlQuery, ProgramQuery, RegistryQuery, WinrmQuery}


@pytest.mark.parametrize(
    "misbehaviours",
    [
        pytest.param([Misbehaviour("unauthorized")], id="rejected"),
        pytest.param([Misbehaviour("cut_output", pattern="reg.exe")], id="cut-output"),
        pytest.param([Misbehaviour("garbage_xml", operation="Enumerate")], id="garbage"),
        pytest.param([Misbehaviour("http_status", status=503)], id="503"),
    ],
)
def test_what_went_wrong_goes_wrong_again(tmp_path: Path, misbehaviours: Sequence[Misbehaviour]) -> None:
    with running_lab(tmp_path, 1, misbehaviours={"AZL-N01": misbehaviours}) as lab:
        live = raw_of(lab, tmp_path)
    assert comparable(replayed(lab, tmp_path / "raw")) == comparable(live)


def test_a_registry_without_a_shell_replays_too(tmp_path: Path) -> None:
    closed = node_scenario(1).patched({"config": {"Winrs": {"AllowRemoteShellAccess": False}}})
    with running_lab(tmp_path, {"AZL-N01": closed}) as lab:
        live = raw_of(lab, tmp_path)
    assert comparable(replayed(lab, tmp_path / "raw")) == comparable(live)


def test_people_can_read_what_was_asked_and_answered(tmp_path: Path) -> None:
    with running_lab(tmp_path, 1) as lab:
        raw_of(lab, tmp_path)
    folder = tmp_path / "raw" / "AZL-N01"
    requests = {path.name: path.read_text() for path in folder.glob("*.request.txt")}
    assert "LOOK THROUGH IT" in (tmp_path / "raw" / "README.txt").read_text()
    assert any("Filter Dialect=" in text and ": select " in text for text in requests.values())
    assert any("option WINRS_CODEPAGE: 65001" in text for text in requests.values())
    assert any("Command: %SystemRoot%\\System32\\cmd.exe /d /v:on" in text for text in requests.values())
    assert any('url = "https://' in text for text in requests.values())
    written = "".join(path.read_text() for path in folder.glob("*-Command.stdout.txt"))
    assert "    CurrentBuildNumber    REG_SZ    26100" in written
    assert re.search(r"^##[0-9a-f]{8}:0 0", written, re.MULTILINE)
    answers = list(folder.glob("*.answer.xml"))
    assert len(answers) == len(requests)
    assert {ET.parse(path).getroot().tag for path in answers} == {"{http://www.w3.org/2003/05/soap-envelope}Envelope"}
    assert [name[:4] for name in sorted(requests)] == [f"{number:04}" for number in range(1, len(requests) + 1)]
    assert "Authorization" not in texts(tmp_path / "raw")
    assert folder.stat().st_mode & 0o077 == 0


def leaking() -> Scenario:
    """A node whose answers hold the password, in CIM, in the registry, and cut anywhere in the output of programs."""
    encoded = base64.b64encode(f"svc:{PASSWORD}".encode()).decode()
    wide = base64.b64encode(PASSWORD.encode("utf-16-le")).decode()
    key = "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
    values: dict[str, object] = {
        "ProductName": ["REG_SZ", f"x{PASSWORD}x {encoded} {wide}"],
        "DefaultPassword": ["REG_SZ", "another one"],
        "DigitalProductId": ["REG_BINARY", "A4000000"],
    }
    return node_scenario(1).patched(
        {
            "registry": {key: values},
            "cim": {
                "root/cimv2": {"Win32_ComputerSystem": lambda rows: [{**row, "Workgroup": PASSWORD} for row in rows]}
            },
        }
    )


def test_no_form_of_the_password_is_in_any_file(tmp_path: Path) -> None:
    with running_lab(tmp_path, {"AZL-N01": leaking()}) as lab:
        raw_of(lab, tmp_path)
        password_stdin(lab, tmp_path / "cli")
    for folder in (tmp_path / "raw", tmp_path / "cli" / "raw"):
        text = texts(folder)
        assert "********" in text
        assert "x********x" in text
        for leak in (PASSWORD, "another one", "A4000000", base64.b64encode(PASSWORD.encode())[:12].decode()):
            assert leak not in text
        # Numbers under such a name are settings that rules read.
        assert "LimitBlankPasswordUse    REG_DWORD    0x1" in text or "LimitBlankPasswordUse" not in text


def password_stdin(lab: Lab, folder: Path) -> None:
    folder.mkdir()
    command = [sys.executable, "-m", "azpreflight", "collect", str(lab.site), "-o", str(folder / "recording")]
    command += ["--raw", str(folder / "raw"), "--password-stdin", *lab.options()]
    done = subprocess.run(command, input=f"{PASSWORD}\n", capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in (0, 3), done.stderr
    assert (folder / "recording" / "recording.json").exists()


@pytest.mark.parametrize(
    "form",
    [
        SECRET.encode(),
        SECRET.encode("utf-16-le"),
        b'T\\u00fcr & \\"Tor\\" <9>',
        'Tür & \\"Tor\\" <9>'.encode(),
        'Tür &amp; "Tor" &lt;9&gt;'.encode(),
        "Tür &amp; &quot;Tor&quot; &lt;9&gt;".encode(),
        b"T%C3%BCr%20%26%20%22Tor%22%20%3C9%3E",
        b"T%c3%bcr%20%26%20%22Tor%22%20%3c9%3e",
        SECRET.encode("utf-16-le").hex().upper().encode(),
        *(base64.b64encode(b"x" * before + SECRET.encode() + b"y" * 5) for before in range(4)),
        *(base64.b64encode(b"x" * before + SECRET.encode("utf-16-le")) for before in range(4)),
        base64.encodebytes(b"z" * 50 + SECRET.encode()),
    ],
)
def test_a_secret_is_taken_out_in_every_form(form: bytes) -> None:
    masked = Mask(SECRET)(b"before <" + form + b"> after")
    assert form.strip() not in masked
    assert b"********" in masked
    assert masked.startswith(b"before <")
    assert masked.rstrip().endswith(b"after")


def test_what_is_no_secret_stays_as_it_came() -> None:
    text = b"<p:Name>T\xc3\xbcr</p:Name> " + base64.b64encode(b"nothing to hide here, nothing at all")
    assert Mask(SECRET)(text) == text
    assert Mask("")(text) == text
    lines = b"    LimitBlankPasswordUse    REG_DWORD    0x1\r\n    ProductName    REG_SZ    x\r\n"
    assert without_secret_values(lines) == lines


def test_a_crash_takes_no_answer_along_that_was_there(tmp_path: Path) -> None:
    with running_lab(tmp_path, 1) as lab:
        kept = RawFolder(tmp_path / "raw", lab.credential)
        counts = []

        def keep(_: Observation) -> None:
            counts.append(len(list((tmp_path / "raw").rglob("*.answer.xml"))))

        collection = Preflight(load_site(lab.site), Options()).plan.collection
        source = WinrmSource(lab.credential, lambda _: reached(lab), channel_of=kept.channel_of)
        source.collect_node(collection.site.nodes[0], collection, Deadline(60), keep)
    assert counts[0] >= 1
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_a_folder_that_is_not_new_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    with running_lab(tmp_path, 1) as lab:
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw" / "mine.txt").write_text("mine")
        with pytest.raises(InputError, match="not empty"):
            raw_of(lab, tmp_path)
        for inside in ("recording", "recording/raw"):
            with pytest.raises(InputError, match="folder of their own"):
                collect(load_site(lab.site), tmp_path / "recording", credential=lab.credential, raw=tmp_path / inside)
        assert lab.servers["AZL-N01"].log.requests == 0
    assert (tmp_path / "raw" / "mine.txt").read_text() == "mine"


def test_a_question_that_was_never_asked_has_no_answer(tmp_path: Path) -> None:
    with running_lab(tmp_path, 1) as lab:
        only = ["AZL-TLS-001"]
        options = {"credential": lab.credential, "connect_to": lab.connect_to}
        collect(load_site(lab.site), tmp_path / "recording", rules=only, raw=tmp_path / "raw", **options)  # type: ignore[arg-type]
    facts = {fact: o for (target, fact), o in replayed(lab, tmp_path / "raw").items() if target == "AZL-N01"}
    # Another chain of programs, in which this one stands beside others.
    assert facts["tls.schannel_protocols"].status is Status.OBSERVED
    assert facts["system.version"].status is Status.FAILED
    assert "came to no end" in (facts["system.version"].reason or "")
    assert facts["accounts.users"].status is Status.FAILED
    assert "hold no Enumerate like this one" in (facts["accounts.users"].reason or "")


def test_a_folder_without_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no raw answers"):
        RawReplay(tmp_path)
    (tmp_path / "AZL-N01").mkdir()
    (tmp_path / "AZL-N01" / "0001-Get.request.txt").write_text("hello")
    with pytest.raises(InputError, match="no request of a raw folder"):
        RawReplay(tmp_path)
