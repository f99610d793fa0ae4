"""How pywinrm's transport is made for each way to authenticate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from winrm.transport import Transport

from azpreflight.credentials import Credential
from azpreflight.facts.winrm import channel
from azpreflight.facts.winrm.channel import Channel, Endpoint


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of every transport that is made; it is made all the same, and may refuse them."""
    calls: list[dict[str, Any]] = []
    real = Transport

    def record(**arguments: Any) -> Any:
        calls.append(arguments)
        return real(**arguments)

    monkeypatch.setattr(channel, "Transport", record)
    return calls


def endpoint(**changes: Any) -> Endpoint:
    return Endpoint("192.0.2.11", 5986, **{"https": True, "certificate_name": "192.0.2.11", **changes})


@pytest.mark.parametrize("method", ["ntlm", "basic", "kerberos", "credssp"])
def test_every_method_is_named_and_no_proxy_of_the_environment_is_used(made: list[dict[str, Any]], method: Any) -> None:
    Channel(endpoint(transport=method), Credential("ops", "word"))
    assert made[0]["auth_method"] == method
    assert (made[0]["username"], made[0]["password"]) == ("ops", "word")
    assert made[0]["proxy"] is None
    assert made[0]["server_cert_validation"] == "validate"


def test_kerberos_asks_for_the_service_by_the_name_that_the_directory_knows(made: list[dict[str, Any]]) -> None:
    Channel(endpoint(transport="kerberos", service_host="azl-n01.edge.example"), Credential("ops@EDGE.EXAMPLE", ""))
    assert made[0]["service"] == "HTTP"
    assert made[0]["kerberos_hostname_override"] == "azl-n01.edge.example"


def test_credssp_tries_one_mechanism_and_no_version_that_is_known_to_be_broken(made: list[dict[str, Any]]) -> None:
    Channel(endpoint(transport="credssp"), Credential("ops", "word"))
    assert made[0]["credssp_auth_mechanism"] == "ntlm"
    assert made[0]["credssp_minimum_version"] >= 5


def test_a_client_certificate_comes_with_its_key(made: list[dict[str, Any]], tmp_path: Path) -> None:
    files = [tmp_path / "a.pem", tmp_path / "a.key"]
    for file in files:
        file.touch()
    given = {"client_certificate": str(files[0]), "client_key": str(files[1])}
    Channel(endpoint(transport="certificate", **given), Credential("CN=ops", ""))
    assert (made[0]["cert_pem"], made[0]["cert_key_pem"]) == (str(files[0]), str(files[1]))


@pytest.mark.parametrize(
    ("method", "https", "encrypted"),
    [
        ("ntlm", False, True),
        ("kerberos", False, True),
        ("credssp", False, True),
        ("basic", False, False),
        ("basic", True, True),
        ("certificate", True, True),
    ],
)
def test_what_is_encrypted_is_told(method: Any, https: bool, encrypted: bool) -> None:
    assert endpoint(transport=method, https=https).encrypted is encrypted
