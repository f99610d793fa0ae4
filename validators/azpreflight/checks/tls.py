r"""TLS as Schannel is set: a value that is not there follows the build's default, which is not the same as 0."""

from __future__ import annotations

import re
from collections.abc import Iterator

from azpreflight.checks.check import check, failed, judged, passed, unjudged
from azpreflight.checks.view import NotApplicable, View
from azpreflight.facts.registry_tree import RegistryTree
from azpreflight.model import Finding, Frozen

ROLES = ("Client", "Server")
PROTOCOLS = "tls.schannel_protocols"
MINIMUM = "tls.minimum_version"
VERSION = "system.version"
ON_BY_DEFAULT = {"TLS 1.0": (1, 0), "TLS 1.1": (1, 1), "TLS 1.2": (1, 2), "TLS 1.3": (1, 3)}
"""Versions that Windows enables where nothing is set; SSL 2.0 and 3.0 are off since Windows Server 2016."""


class Enabled(Frozen, kw_only=True):
    """protocol: as its registry key is called. since_build: the first build of Windows that supports it."""

    protocol: str
    since_build: int | None = None


class Disabled(Frozen, kw_only=True):
    """protocols: as their registry keys are called."""

    protocols: tuple[str, ...]


def is_on(tree: RegistryTree, protocol: str, role: str) -> bool | None:
    """Whether a protocol is switched on for a role; None when nothing is set.

    Every number but 0 is on, also 4294967295; off is an `Enabled` of 0 or a `DisabledByDefault` of anything else.
    """
    key = f"{protocol}\\{role}"
    enabled, off_by_default = tree.get("Enabled", key=key), tree.get("DisabledByDefault", key=key)
    if enabled is None and off_by_default is None:
        return None
    return enabled != 0 and off_by_default in (None, 0)


def _settings(tree: RegistryTree, protocol: str, role: str) -> dict[str, int | None]:
    key = f"{protocol}\\{role}"
    return {name: tree.get(name, key=key) for name in ("Enabled", "DisabledByDefault")}


def _enabled_needs(parameters: Enabled) -> tuple[str, ...]:
    return (PROTOCOLS,) if parameters.since_build is None else (PROTOCOLS, VERSION)


@check("tls.enabled", parameters=Enabled, needs=_enabled_needs)
def protocol_enabled(view: View, parameters: Enabled) -> Iterator[Finding]:
    """The protocol is not switched off, neither for the client role nor for the server role."""
    if parameters.since_build is not None:
        build = view.registry(VERSION).get("CurrentBuildNumber")
        if build is None or not str(build).isdigit():
            yield unjudged("build", f"{view.node.name} does not tell its build number", actual=build)
            return
        if int(build) < parameters.since_build:
            raise NotApplicable(f"build {build} of Windows does not know {parameters.protocol}")
    tree = view.registry(PROTOCOLS)
    for role in ROLES:
        on = is_on(tree, parameters.protocol, role)
        subject = f"{parameters.protocol} {role}"
        yield judged(
            on is not False,
            subject,
            if_good=f"{subject} is on" if on else f"{subject} is not set and on by default",
            if_bad=f"{subject} is switched off",
            expected="not switched off",
            actual=_settings(tree, parameters.protocol, role),
        )


def minimum_version(tree: RegistryTree, role: str) -> tuple[int, int] | None:
    """The lowest TLS version that policy allows for a role, or None when there is no such policy."""
    text = tree.get(f"OverrideMinimumEnabledTLSVersion{role}")
    match = re.search(r"([0-9]+)\.([0-9]+)", str(text))
    return (int(match[1]), int(match[2])) if match else None


@check("tls.disabled", parameters=Disabled, needs=lambda _: (PROTOCOLS, MINIMUM))
def protocols_disabled(view: View, parameters: Disabled) -> Iterator[Finding]:
    """Every protocol is switched off for both roles: by its own key, by the policy on the minimum, or by default."""
    tree = view.registry(PROTOCOLS)
    for protocol in parameters.protocols:
        for role in ROLES:
            yield _disabled(view, tree, protocol, role)


def _disabled(view: View, tree: RegistryTree, protocol: str, role: str) -> Finding:
    subject = f"{protocol} {role}"
    on = is_on(tree, protocol, role)
    actual = _settings(tree, protocol, role)
    if on is False:
        return passed(subject, f"{subject} is switched off", expected="off", actual=actual)
    if on is None and protocol not in ON_BY_DEFAULT:
        return passed(subject, f"{subject} is not set and off by default", expected="off", actual=actual)
    if protocol in ON_BY_DEFAULT:
        minimum = minimum_version(view.registry(MINIMUM), role)
        if minimum is not None and minimum > ON_BY_DEFAULT[protocol]:
            return passed(subject, f"{subject} is below the minimum that policy sets", expected="off", actual=actual)
    message = f"{subject} is switched on" if on else f"{subject} is not set and on by default"
    return failed(subject, message, expected="off", actual=actual)
