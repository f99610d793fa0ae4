"""The baseline for TLS beside its versions: DTLS, orders of suites and curves, .NET."""

from __future__ import annotations

from typing import Any

import pytest

from azpreflight.checks.tls_baseline import datagram_versions, dotnet, subset
from azpreflight.model import Outcome
from unit.checks.judging import findings_of, outcomes_of, view_of

GONE: dict[str, Any] = {"exists": False, "keys": {}}


def key(path: str = "", **values: Any) -> dict[str, Any]:
    return {
        "exists": True,
        "keys": {path: {name: {"type": "REG_DWORD", "data": data} for name, data in values.items()}},
    }


@pytest.mark.parametrize(
    ("protocol", "values", "outcome"),
    [
        ("DTLS 1.0", {"Enabled": 0}, Outcome.PASS),
        ("DTLS 1.0", {}, Outcome.FAIL),
        ("DTLS 1.0", {"DisabledByDefault": 1}, Outcome.FAIL),
        ("DTLS 1.0", {"Enabled": 1}, Outcome.FAIL),
        ("DTLS 1.0", {"Enabled": "0"}, Outcome.ERROR),
        ("DTLS 1.2", {}, Outcome.PASS),
        ("DTLS 1.2", {"Enabled": 4294967295}, Outcome.PASS),
        ("DTLS 1.2", {"Enabled": 0}, Outcome.FAIL),
        ("DTLS 1.2", {"Enabled": 1, "DisabledByDefault": 1}, Outcome.FAIL),
    ],
)
def test_versions_of_dtls(protocol: str, values: dict[str, Any], outcome: Outcome) -> None:
    facts = {
        "tls.schannel_protocols": key(f"{protocol}\\Client", **values),
        "tls.minimum_version": GONE,
        "system.version": key(CurrentBuildNumber="25398"),
    }
    view = view_of(facts)
    found = outcomes_of(datagram_versions, view, off=["DTLS 1.0"], on=["DTLS 1.2"])
    assert found[f"{protocol} Client"] is outcome


def order(policy: Any, local: Any) -> dict[str, Any]:
    return {
        "tls.policy_suites": GONE if policy is None else key(Functions=policy),
        "tls.local_suites": GONE if local is None else key(Functions=local),
    }


@pytest.mark.parametrize(
    ("policy", "local", "outcome", "actual"),
    [
        ("A,B", ["A", "C"], Outcome.PASS, ["A", "B"]),
        (["a"], ["C"], Outcome.PASS, ["a"]),
        (None, ["A", "B"], Outcome.PASS, ["A", "B"]),
        (None, "A, C", Outcome.FAIL, ["A", "C"]),
        ("A,C", ["A"], Outcome.FAIL, ["A", "C"]),
        (None, None, Outcome.ERROR, None),
        ("", ["A"], Outcome.ERROR, None),
        (7, ["A"], Outcome.ERROR, None),
        ([7], ["A"], Outcome.ERROR, None),
    ],
)
def test_the_order_that_counts(policy: Any, local: Any, outcome: Outcome, actual: Any) -> None:
    found = findings_of(subset, view_of(order(policy, local)), value="Functions", allowed=["A", "B"])["Functions"]
    assert (found.outcome, found.actual) == (outcome, actual)


@pytest.mark.parametrize(
    ("values", "release", "outcome"),
    [
        ({"SchUseStrongCrypto": 1}, None, Outcome.PASS),
        ({"SchUseStrongCrypto": 0}, 533509, Outcome.FAIL),
        ({}, 460798, Outcome.PASS),
        ({}, 460797, Outcome.FAIL),
        ({}, None, Outcome.ERROR),
        ({}, "460798", Outcome.ERROR),
        ({"SchUseStrongCrypto": None}, 533509, Outcome.ERROR),
        ({"SchUseStrongCrypto": "1"}, 533509, Outcome.ERROR),
    ],
)
def test_strong_cryptography_in_dotnet(values: dict[str, Any], release: Any, outcome: Outcome) -> None:
    facts = {
        "tls.dotnet": key(SystemDefaultTlsVersions=1, SchUseStrongCrypto=1),
        "tls.dotnet_32bit": key(SystemDefaultTlsVersions=1, **values),
        "features.dotnet": GONE if release is None else key(Release=release),
    }
    found = outcomes_of(dotnet, view_of(facts))
    assert found.pop("SchUseStrongCrypto of 32-bit .NET") is outcome
    assert set(found.values()) == {Outcome.PASS}
