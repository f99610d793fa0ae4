"""What the security baseline sets for TLS beside its versions: DTLS, cipher suites, curves; and TLS in .NET."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from azpreflight.checks.check import NoParameters, check, judged, passed, unjudged
from azpreflight.checks.tls import (
    BY_POLICY_PERHAPS,
    MINIMUM,
    PROTOCOLS,
    ROLES,
    VERSION,
    Unreadable,
    is_on,
    may_be_policy,
    minimum_version,
    setting,
)
from azpreflight.checks.view import View
from azpreflight.facts.registry_tree import RegistryTree
from azpreflight.model import Finding, Frozen, Value

BY_POLICY = "tls.policy_suites"
LOCAL = "tls.local_suites"
DOTNET = {"64-bit .NET": "tls.dotnet", "32-bit .NET": "tls.dotnet_32bit"}
RELEASE = "features.dotnet"
STRONG_BY_DEFAULT = 460798
"""Release of .NET Framework 4.7, from which on programs leave the version of TLS to Windows."""
SWITCHES = ("SchUseStrongCrypto", "SystemDefaultTlsVersions")


VERSIONS: dict[str, tuple[int, int]] = {"DTLS 1.0": (1, 0), "DTLS 1.2": (1, 2)}


class Dtls(Frozen, kw_only=True):
    """off, on: versions of DTLS, as their registry keys are called."""

    off: tuple[Literal["DTLS 1.0", "DTLS 1.2"], ...]
    on: tuple[Literal["DTLS 1.0", "DTLS 1.2"], ...]


class Subset(Frozen, kw_only=True):
    """value: the registry value that lists them, in order. allowed: those that the baseline leaves."""

    value: str
    allowed: Annotated[tuple[str, ...], Meta(min_length=1)]


@check("tls.dtls", PROTOCOLS, MINIMUM, VERSION, parameters=Dtls)
def datagram_versions(view: View, parameters: Dtls) -> Iterator[Finding]:
    """Versions of DTLS are off by an `Enabled` of 0 or by the policy on the minimum, and others not switched off."""
    tree = view.registry(PROTOCOLS)
    for protocol in (*parameters.off, *parameters.on):
        for role in ROLES:
            try:
                yield _dtls(view, tree, protocol, role, wanted=protocol in parameters.on)
            except Unreadable as error:
                yield unjudged(f"{protocol} {role}", str(error))


def _dtls(view: View, tree: RegistryTree, protocol: str, role: str, *, wanted: bool) -> Finding:
    subject = f"{protocol} {role}"
    on, enabled = is_on(tree, protocol, role), setting(tree, protocol, role, "Enabled")
    state = "is on" if on else "is switched off" if enabled == 0 else "is off only for programs that do not ask for it"
    state = "is not set and on by default" if on is None else state
    if enabled != 0 and not wanted:
        minimum = minimum_version(view.registry(MINIMUM), role, "DTLS")
        if minimum is not None and minimum > VERSIONS[protocol]:
            return passed(subject, f"{subject} is below the minimum that policy sets", expected="off", actual=enabled)
        if on is None and may_be_policy(view):
            return unjudged(subject, f"{subject} is not set, {BY_POLICY_PERHAPS}", expected="off")
    return judged(
        on is not False if wanted else enabled == 0,
        subject,
        if_good=f"{subject} {state}",
        if_bad=f"{subject} {state}",
        expected="not switched off" if wanted else "off",
        actual=enabled,
    )


@check("tls.subset", BY_POLICY, LOCAL, parameters=Subset)
def subset(view: View, parameters: Subset) -> Iterator[Finding]:
    """Nothing but what the baseline leaves is in the order that counts: that of policy, or the machine's own."""
    whose, listed = "policy", _listed(view.registry(BY_POLICY), parameters.value)
    if listed is None:
        whose, listed = "the machine", _listed(view.registry(LOCAL), parameters.value)
    if not listed:
        what = "neither policy nor the machine has a list" if listed is None else f"the list of {whose} is not readable"
        yield unjudged(parameters.value, f"{what}: {parameters.value}", expected=list(parameters.allowed))
        return
    allowed = {name.casefold() for name in parameters.allowed}
    others = [name for name in listed if name.casefold() not in allowed]
    yield judged(
        not others,
        parameters.value,
        if_good=f"the list of {whose} has nothing that the baseline leaves out",
        if_bad=f"the list of {whose} has {', '.join(others)} beside what the baseline leaves",
        expected=list(parameters.allowed),
        actual=listed,
    )


def _listed(tree: RegistryTree, name: str) -> list[str] | None:
    """The names in a value, which is a text with commas or a list; None where there is none, [] where it is neither."""
    if not tree.has_value(name):
        return None
    value = tree.get(name)
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return []
    return [text.strip() for text in texts if text.strip()]


@check("tls.dotnet", *DOTNET.values(), RELEASE)
def dotnet(view: View, _: NoParameters) -> Iterator[Finding]:
    """.NET programs may use TLS 1.2: switched on, or left to a release that does so by itself."""
    for name, fact in DOTNET.items():
        tree = view.registry(fact)
        for switch in SWITCHES:
            yield _switch(view, f"{switch} of {name}", tree.get(switch), is_set=tree.has_value(switch))


def _switch(view: View, subject: str, value: Value, *, is_set: bool) -> Finding:
    if is_set and (isinstance(value, bool) or not isinstance(value, int)):
        return unjudged(subject, f"{subject} is no number", expected=1, actual=value)
    if is_set:
        return judged(
            value != 0,
            subject,
            if_good=f"{subject} is on",
            if_bad=f"{subject} is switched off: programs may fall back to TLS 1.0",
            expected=1,
            actual=value,
        )
    release = view.registry(RELEASE).get("Release")
    if isinstance(release, bool) or not isinstance(release, int):
        return unjudged(subject, f"{subject} is not set, and the release of .NET is not known", expected=1)
    return judged(
        release >= STRONG_BY_DEFAULT,
        subject,
        if_good=f"{subject} is not set, and .NET {release} has it on",
        if_bad=f"{subject} is not set, and .NET {release} is older than {STRONG_BY_DEFAULT}, which has it on",
        expected=1,
        actual=None,
    )
