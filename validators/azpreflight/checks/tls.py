r"""TLS as Schannel is set: a value that is not there follows the build's default, which is not the same as 0."""

from __future__ import annotations

import re
from collections.abc import Iterator

from azpreflight.checks.check import check, failed, judged, passed, unjudged
from azpreflight.checks.view import NotApplicable, View
from azpreflight.facts.registry_tree import RegistryTree
from azpreflight.model import Finding, Frozen, Value

ROLES = ("Client", "Server")
PROTOCOLS = "tls.schannel_protocols"
MINIMUM = "tls.minimum_version"
VERSION = "system.version"
ON_BY_DEFAULT = {"TLS 1.0": (1, 0), "TLS 1.1": (1, 1), "TLS 1.2": (1, 2), "TLS 1.3": (1, 3)}
"""Versions that Windows enables where nothing is set; SSL 2.0 and 3.0 are off since Windows Server 2016."""


SET_BY_POLICY_SINCE = 26100
"""The first build whose security baseline sets the lowest version by policy, and leaves the keys alone."""

_VERSION = re.compile(r"(?:TLS ?)?(1)\.([0-3])", re.IGNORECASE)


class Unreadable(Exception):
    """A value is set and is not of its type, so that nobody knows what Windows makes of it."""


class Enabled(Frozen, kw_only=True):
    """protocol: as its registry key is called. since_build: the first build of Windows that supports it."""

    protocol: str
    since_build: int | None = None


class Disabled(Frozen, kw_only=True):
    """protocols: as their registry keys are called."""

    protocols: tuple[str, ...]


def setting(tree: RegistryTree, protocol: str, role: str, name: str) -> int | None:
    """A number that is set for a role of a protocol; None when the value does not exist.

    Raises:
        Unreadable: it exists and is no number.
    """
    key = f"{protocol}\\{role}"
    value = tree.get(name, key=key)
    if not tree.has_value(name, key=key):
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unreadable(f"{name} of {protocol} {role} is no number: {value}")
    return value


def is_on(tree: RegistryTree, protocol: str, role: str) -> bool | None:
    """Whether a protocol can be used by a role that does not ask for more; None when nothing is set.

    Every number but 0 is on, also 4294967295; off is an `Enabled` of 0 or a `DisabledByDefault` of anything else.

    Raises:
        Unreadable: a value is no number.
    """
    enabled = setting(tree, protocol, role, "Enabled")
    off_by_default = setting(tree, protocol, role, "DisabledByDefault")
    if enabled is None and off_by_default is None:
        return None
    return enabled != 0 and off_by_default in (None, 0)


def _settings(tree: RegistryTree, protocol: str, role: str) -> dict[str, Value]:
    key = f"{protocol}\\{role}"
    return {name: tree.get(name, key=key) for name in ("Enabled", "DisabledByDefault")}


def _enabled_needs(parameters: Enabled) -> tuple[str, ...]:
    return (PROTOCOLS,) if parameters.since_build is None else (PROTOCOLS, VERSION)


@check("tls.enabled", parameters=Enabled, needs=_enabled_needs)
def protocol_enabled(view: View, parameters: Enabled) -> Iterator[Finding]:
    """The protocol is not switched off, neither for the client role nor for the server role."""
    if parameters.since_build is not None:
        build = build_of(view)
        if build is None:
            actual = view.registry(VERSION).get("CurrentBuildNumber")
            yield unjudged("build", f"{view.node.name} does not tell its build number", actual=actual)
            return
        if build < parameters.since_build:
            raise NotApplicable(f"build {build} of Windows does not know {parameters.protocol}")
    tree = view.registry(PROTOCOLS)
    for role in ROLES:
        subject = f"{parameters.protocol} {role}"
        try:
            on = is_on(tree, parameters.protocol, role)
        except Unreadable as error:
            yield unjudged(subject, str(error), expected="not switched off")
            continue
        yield judged(
            on is not False,
            subject,
            if_good=f"{subject} is on" if on else f"{subject} is not set and on by default",
            if_bad=f"{subject} is switched off",
            expected="not switched off",
            actual=_settings(tree, parameters.protocol, role),
        )


def build_of(view: View) -> int | None:
    """The build of Windows on the node; None where that is not told."""
    build = view.registry(VERSION).get("CurrentBuildNumber")
    return int(build) if isinstance(build, str | int) and str(build).isdigit() else None


def minimum_version(tree: RegistryTree, role: str, kind: str = "TLS") -> tuple[int, int] | None:
    """The lowest version of TLS or DTLS that policy allows for a role, or None when there is no such policy.

    Raises:
        Unreadable: there is one that names no version.
    """
    name = f"OverrideMinimumEnabled{kind}Version{role}"
    if not tree.has_value(name):
        return None
    text = tree.get(name)
    match = _VERSION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise Unreadable(f"the policy {name} names no version: {text}")
    return int(match[1]), int(match[2])


@check("tls.disabled", parameters=Disabled, needs=lambda _: (PROTOCOLS, MINIMUM, VERSION))
def protocols_disabled(view: View, parameters: Disabled) -> Iterator[Finding]:
    """Every protocol is switched off for both roles: by its own key, by the policy on the minimum, or by default.

    Off by its own key is an `Enabled` of 0. With `DisabledByDefault` alone a program can still ask for the protocol.
    Builds whose baseline sets the minimum by policy tell nothing by what is not set.
    """
    tree = view.registry(PROTOCOLS)
    for protocol in parameters.protocols:
        for role in ROLES:
            try:
                yield off_finding(view, tree, protocol, role)
            except Unreadable as error:
                yield unjudged(f"{protocol} {role}", str(error), expected="off")


def off_finding(view: View, tree: RegistryTree, protocol: str, role: str) -> Finding:
    """Whether Schannel is set so that a role does not use a protocol.

    Raises:
        Unreadable: a value is no number, or the policy names no version.
    """
    subject, actual = f"{protocol} {role}", _settings(tree, protocol, role)
    enabled = setting(tree, protocol, role, "Enabled")
    if enabled == 0:
        return passed(subject, f"{subject} is switched off", expected="off", actual=actual)
    if protocol in ON_BY_DEFAULT:
        minimum = minimum_version(view.registry(MINIMUM), role)
        if minimum is not None and minimum > ON_BY_DEFAULT[protocol]:
            return passed(subject, f"{subject} is below the minimum that policy sets", expected="off", actual=actual)
    elif enabled is None:
        return passed(subject, f"{subject} is not set and off by default", expected="off", actual=actual)
    if enabled is not None:
        message = f"{subject} is switched on"
    elif setting(tree, protocol, role, "DisabledByDefault") not in (None, 0):
        message = f"{subject} is not switched off: programs that ask for it get it"
    elif may_be_policy(view):
        return unjudged(subject, f"{subject} is not set, {BY_POLICY_PERHAPS}", expected="off", actual=actual)
    else:
        message = f"{subject} is not set and on by default"
    return failed(subject, message, expected="off", actual=actual)


BY_POLICY_PERHAPS = "and whether the policy on the lowest version has it off is not known"


def may_be_policy(view: View) -> bool:
    """Whether the baseline of the node's build sets the lowest version by policy, which keeps it who knows where."""
    build = build_of(view)
    return build is None or build >= SET_BY_POLICY_SINCE
