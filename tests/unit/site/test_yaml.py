"""`site.yaml`: what it may say, and how its mistakes are told."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.errors import InputError
from azpreflight.model import Profile
from azpreflight.site import load_site
from azpreflight.site import yaml as site_yaml
from azpreflight.site.model import DnsMode, Traffic, Transport, WitnessKind

SMALLEST = "name: lab\nprofile: local-identity\nnodes:\n  - {name: N1, address: 192.0.2.11}\n"

WHOLE = """\
name: edge-lab
profile: active-directory
cluster: {name: AZL-CL01, naming_prefix: AZL01, hardware: low-capacity, rack_aware: false, release: "2510"}
nodes:
  - name: AZL-N01
    address: 192.0.2.11
    arc_resource_id: /subscriptions/s/resourceGroups/g/providers/Microsoft.HybridCompute/machines/AZL-N01
  - {name: AZL-N02, address: "2001:db8::12"}
network:
  management:
    subnet: 192.0.2.0/24
    gateway: 192.0.2.1
    pools: [{start: 192.0.2.20, end: 192.0.2.30}]
    dhcp: true
    allow_dhcp_reservation: true
    dhcp_scopes: []
    vlan: 0
  dns:
    mode: forwarder
    servers: []
    zone: edge.example
    forwarders: [192.0.2.54]
    outside_cluster: true
    dynamic_update: false
  storage:
    networks:
      - name: Storage1
        adapter: Port3
        vlan: 711
        subnet: 10.71.1.0/24
        addresses: [{node: azl-n01, address: 10.71.1.1, subnet: 10.71.1.0/24}]
    auto_ip: false
    switchless: true
    mode: keep-storage
  intents:
    - name: All
      traffic: [management, compute, storage]
      adapters: [Port1, Port2]
      overrides: {jumbo_packet: 9014, network_direct: true, network_direct_technology: RoCEv2, bandwidth_smb: 50}
  vm_networks: [{name: Web, subnet: 198.51.100.0/24, vlan: 20}]
  ntp_servers: [time.windows.com]
proxy: {http: "http://proxy.edge.example:3128", https: "http://proxy.edge.example:3128", bypass: [localhost]}
azure:
  cloud: AzureUSGovernment
  region: usgovvirginia
  subscription: 11111111-2222-3333-4444-555555555555
  resource_group: rg
  tenant: 66666666-7777-8888-9999-aaaaaaaaaaaa
  arc_gateway: true
  diagnostics_storage_account: edgediag
key_vault: {name: kv-edge, private_endpoint: false}
witness: {kind: file-share, path: '\\\\files\\witness'}
administrator: {name: azladmin}
directory: {domain: corp.example, ou: "OU=A,DC=corp,DC=example", deployment_user: lcm}
winrm: {transport: kerberos, https: true, port: 5986, verify: false, ca_file: root.pem}
"""


def written(folder: Path, text: str, name: str = "site.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def refusals(folder: Path, text: str) -> list[tuple[str, str, str]]:
    path = written(folder, text)
    with pytest.raises(InputError) as error:
        load_site(path)
    return [(p.code, p.where.removeprefix(f"{path}:"), p.message) for p in error.value.problems]


def test_the_smallest_site_declares_nothing_else(tmp_path: Path) -> None:
    loaded = load_site(written(tmp_path, SMALLEST))
    site = loaded.site
    assert (site.name, site.profile, site.nodes[0].address) == ("lab", Profile.LOCAL_IDENTITY, "192.0.2.11")
    assert site.cluster.name is None
    assert site.network.dns.servers is None
    assert site.network.dns.mode is DnsMode.EXTERNAL
    assert site.winrm.transport is Transport.NTLM
    assert site.winrm.verify
    assert loaded.problems == ()


def test_every_field_can_be_declared(tmp_path: Path) -> None:
    loaded = load_site(str(written(tmp_path, WHOLE)))
    site = loaded.site
    assert loaded.problems == ()
    assert site.network.dns.servers == ()
    assert site.network.management.dhcp_scopes == ()
    assert (site.network.intents or ())[0].traffic == (Traffic.MANAGEMENT, Traffic.COMPUTE, Traffic.STORAGE)
    assert site.witness.kind is WitnessKind.FILE_SHARE
    assert site.dns_suffix == "corp.example"
    assert site.fqdn("x") == "x.corp.example"
    assert site.node("azl-n02") is site.nodes[1]
    assert site.node("other") is None


def test_the_identity_of_the_file_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE)
    info = load_site(path).info
    assert (info.name, info.profile, info.cluster, info.nodes, info.format) == (
        "edge-lab",
        Profile.ACTIVE_DIRECTORY,
        "AZL-CL01",
        ("AZL-N01", "AZL-N02"),
        "yaml",
    )
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_site_written_as_json_is_read_by_the_same_rules(tmp_path: Path) -> None:
    data = {"name": "lab", "profile": "local-identity", "nodes": [{"name": "N1", "address": "192.0.2.11"}]}
    loaded = load_site(written(tmp_path, json.dumps(data), "site.json"))
    assert loaded.info.format == "yaml"
    flow = "{name: lab, profile: local-identity, nodes: [{name: N1, address: 192.0.2.11}]}"
    assert load_site(written(tmp_path, flow)).site == loaded.site


def test_a_site_written_as_json_may_hold_whatever_json_can(tmp_path: Path) -> None:
    text = (
        '{\n\t"name": "lab \\ud83d\\ude00",\n\t"profile": "local-identity",\n\t"nodes": [{"name": "N1", "address": 5}]}'
    )
    path = written(tmp_path, text, "site.json")
    with pytest.raises(InputError) as error:
        load_site(path)
    [problem] = error.value.problems
    assert problem.where == f"{path}: $.nodes[0].address"
    written(tmp_path, text.replace("5}", '"192.0.2.11"}'), "site.json")
    assert load_site(path).site.name == "lab \U0001f600"


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    ],
)
def test_how_it_was_saved_does_not_matter(tmp_path: Path, encode: Callable[[str], bytes]) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(encode(WHOLE))
    assert load_site(path).site == load_site(written(tmp_path, WHOLE, "plain.yaml")).site


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_an_encoding_that_cannot_be_told_is_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(SMALLEST.replace("lab", "l\xe4b").encode(encoding))
    with pytest.raises(InputError) as error:
        load_site(path)
    assert error.value.problems[0].code == "syntax"


def test_a_file_that_is_too_large_for_a_site_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, SMALLEST + "#" * 1024 * 1024)
    with pytest.raises(InputError, match="is larger than 1024 KiB"):
        load_site(path)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_a_file_name_that_is_no_text_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"l\xff.json")
    path.write_text(json.dumps({"parameters": {"physicalNodesSettings": {"value": [{"name": "N1"}]}}}))
    loaded = load_site(path)
    assert loaded.site.name == "l\\udcff"
    msgspec.json.encode(loaded)
    path.write_text("x")
    for name in (path, path.with_suffix(".none")):
        with pytest.raises(InputError) as error:
            load_site(name)
        str(error.value).encode()


def test_an_unknown_key_is_told_with_its_place_and_the_nearest_one(tmp_path: Path) -> None:
    assert refusals(tmp_path, SMALLEST + "network:\n  managment: {}\n") == [
        ("unknown-key", "6:3", "unknown key 'managment'; did you mean 'management'?")
    ]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = "profile: local\nnodes:\n  - {name: N1}\nnetwork: {dns: {servers: 192.0.2.53}}\n"
    assert [(code, where) for code, where, _ in refusals(tmp_path, text)] == [
        ("missing-key", "1:1"),
        ("bad-value", "1:1"),
        ("missing-key", "3:5"),
        ("wrong-type", "4:17"),
    ]


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("network: {management: {gateway: 192.0.2.256}}", "an IPv4 address"),
        ("network: {management: {gateway: ''}}", "an IPv4 address"),
        ("network: {management: {gateway: 'fe80::1'}}", "an IPv4 address"),
        ("network: {management: {subnet: 192.0.2.1/24}}", "an IPv4 network"),
        ("network: {management: {subnet: 192.0.2.0/33}}", "an IPv4 network"),
        ("network: {management: {subnet: 192.0.2.0}}", "an IPv4 network"),
        ("network: {management: {subnet: 192.0.2.0/255.255.255.0}}", "an IPv4 network"),
        ("network: {management: {pools: [{start: 192.0.2.1, end: x}]}}", "an IPv4 address"),
        ("network: {management: {vlan: 4096}}", "at most 4095"),
        ("network: {dns: {servers: [dns.edge.example]}}", "an IP address"),
        ("network: {dns: {servers: ['fe80::1%3']}}", "an IP address"),
        ("network: {dns: {mode: internal}}", "not possible here"),
        ("cluster: {name: ''}", "a text that is not empty"),
        ("cluster: {release: '25.10'}", "year and month"),
        ("winrm: {port: 0}", "at least 1"),
        ("winrm: {transport: plaintext}", "not possible here"),
        ("proxy: {http: proxy.edge.example}", "a URL such as"),
        ("azure: {cloud: azurecloud}", "did you mean 'AzureCloud'"),
        ("proxy:", "expected a mapping, got nothing"),
    ],
)
def test_a_value_of_the_wrong_form_is_refused(tmp_path: Path, member: str, message: str) -> None:
    [(_, where, text)] = refusals(tmp_path, SMALLEST + member + "\n")
    assert message in text
    assert where.startswith("5:")


@pytest.mark.parametrize(
    "name",
    ["a b", "a::b", "a[0]", "u@h", "a/b", "a\\b", "", ".", "..", "x" * 64, "a\tb"],
)
def test_a_name_that_could_not_name_a_node_in_a_report_is_refused(tmp_path: Path, name: str) -> None:
    text = f"name: lab\nprofile: local-identity\nnodes:\n  - {{name: {json.dumps(name)}, address: 192.0.2.11}}\n"
    [(code, where, _)] = refusals(tmp_path, text)
    assert (code, where) == ("bad-value", "4:6")


def test_a_site_without_nodes_is_refused(tmp_path: Path) -> None:
    [(code, _, message)] = refusals(tmp_path, "name: lab\nprofile: local-identity\nnodes: []\n")
    assert (code, message) == ("bad-value", "expected at least 1 item, got none")


def test_nodes_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    text = SMALLEST + "  - {name: n1, address: 192.0.2.12}\n  - {name: N3, address: 192.0.2.11}\n"
    assert [(code, where) for code, where, _ in refusals(tmp_path, text)] == [
        ("duplicate-node", "5:6"),
        ("duplicate-address", "6:16"),
    ]


def test_the_spelling_of_an_address_does_not_make_it_another(tmp_path: Path) -> None:
    text = SMALLEST.replace("192.0.2.11", '"2001:db8::1"') + '  - {name: N2, address: "2001:DB8:0::1"}\n'
    [(code, _, _)] = refusals(tmp_path, text)
    assert code == "duplicate-address"


def test_a_storage_address_of_an_unknown_node_is_refused(tmp_path: Path) -> None:
    text = SMALLEST + "network: {storage: {networks: [{name: S, addresses: [{node: N2, address: 10.0.0.1}]}]}}\n"
    [(code, where, message)] = refusals(tmp_path, text)
    assert (code, where) == ("unknown-node", "5:55")
    assert message.endswith("known: N1")


@pytest.mark.parametrize(
    "member",
    [
        "administrator: {name: a, password: hunter2}",
        "password: hunter2",
        "winrm: {Pass-Word: hunter2}",
        "winrm: {pass: hunter2}",
        "azure: {client_secret: hunter2}",
        "azure: {credentials: {x: hunter2}}",
        "witness: {storage_account: x, api_key: hunter2}",
        "nodes_: [{admin_password: hunter2}]",
        "proxy: {http: 'http://user:hunter2@proxy:3128'}",
        "administrator: {name: a, password:hunter2}",
        "administrator: {name: a, pwd:hunter2}",
        "administrator: {name: a, password=hunter2}",
    ],
)
def test_a_credential_is_refused_with_the_way_out_and_never_shown(tmp_path: Path, member: str) -> None:
    [(code, where, message)] = refusals(tmp_path, SMALLEST + member + "\n")
    assert code == "credential"
    assert where.startswith("5:")
    assert "holds no credential" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
@pytest.mark.parametrize(
    "value",
    ["!hunter2!x y", "!hunter2! x", "!<hunter2", '"\\hunter2"', '"hunter2', "'hunter2", "*hunter2", "&hunter2 &x y",
     "@hunter2", "%hunter2", "`hunter2", "|hunter2", ">hunter2", "hunter2: x", "[hunter2", "{hunter2", "hunter2\x01",
     "hunter2\n  x: y", "\n\thunter2", "x\nhunter2"],
)  # fmt: skip
def test_a_syntax_error_beside_a_credential_does_not_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: Any, value: str
) -> None:
    monkeypatch.setattr("azpreflight.documents.yaml._YAML_LOADER", loader)
    for _, _, message in refusals(tmp_path, f"{SMALLEST}password: {value}\n"):
        assert "hunter2" not in message


def test_fields_that_merely_sound_like_credentials_are_fields(tmp_path: Path) -> None:
    text = SMALLEST + "proxy: {bypass: [a]}\nkey_vault: {private_endpoint: true}\n"
    assert load_site(written(tmp_path, text)).problems == ()


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ('directory: {domain: corp.example, ou: "OU=A,DC=corp,DC=example"}', "contradiction"),
        ("directory: {domain: corp.example, deployment_user: lcm}", "contradiction"),
        ("directory: {servers: [dc1.corp.example]}", "no-effect"),
        ("directory: {domain: corp.example, tls: none, verify: false}", "no-effect"),
        ("directory: {domain: corp.example, tls: none, ca_file: x.pem}", "no-effect"),
        ("winrm: {verify: false}", "no-effect"),
        ("winrm: {ca_file: x.pem}", "no-effect"),
    ],
)
def test_declarations_that_cannot_both_be_meant_are_problems_of_a_loaded_site(
    tmp_path: Path, member: str, code: str
) -> None:
    path = written(tmp_path, SMALLEST + member + "\n")
    [problem] = load_site(path).problems
    assert (problem.code, problem.where) == (code, f"{path}:5:1")


def test_a_site_with_local_identity_may_name_a_directory_that_must_know_nothing_of_it(tmp_path: Path) -> None:
    path = written(
        tmp_path, SMALLEST + "directory: {domain: corp.example, servers: [dc1.corp.example], ca_file: x.pem}"
    )
    assert load_site(path).problems == ()


def test_active_directory_without_a_domain_is_a_problem(tmp_path: Path) -> None:
    [problem] = load_site(written(tmp_path, SMALLEST.replace("local-identity", "active-directory"))).problems
    assert problem.code == "contradiction"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.yaml", b"", "empty"),
        ("blank.yaml", b"\xef\xbb\xbf \r\n", "empty"),
        ("comments.yaml", b"# nothing\n", "empty"),
        ("list.yaml", b"- a\n", "wrong-type"),
        ("text.yaml", b"hello\n", "wrong-type"),
        ("broken.yaml", b"{name: x", "syntax"),
        ("main.bicepparam", b"using './main.bicep'\n", "not-a-site"),
        ("package.json", b'{"dependencies": {}}', "not-a-site"),
        ("list.json", b"[1]", "not-a-site"),
        ("broken.json", b'{"parameters": {', "syntax"),
    ],
)
def test_a_file_that_is_no_site_is_refused(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        load_site(tmp_path / name)
    assert error.value.problems[0].code == code
    assert error.value.problems[0].where.startswith(str(tmp_path / name))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_site(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="is a folder"):
        load_site(tmp_path)


SITE_DATA: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["192.0.2.1", "N1", "local-identity"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "profile", "nodes", "network", "dns", "servers", "address", "winrm", "password"]),
            inner,
        )
    ),
)


@given(SITE_DATA)
def test_any_site_data_is_a_site_or_an_input_error(data: Any) -> None:
    with contextlib.suppress(InputError):
        site_yaml.read(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"), "x")
