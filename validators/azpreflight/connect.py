"""`--connect-to`: reaching a declared address somewhere else, through a tunnel or on another port."""

from __future__ import annotations

import re
from collections.abc import Iterable

from azpreflight.errors import InputError
from azpreflight.model import Problem, Redirection
from azpreflight.site.model import Site

_OPTION = "--connect-to"
_NO_HOST = re.compile(r"[\s\x00-\x1f\x7f@/\\?#\[\]]")


class Redirections:
    """Where declared addresses are reached. Never changes what is judged.

    Args:
        given: `DECLARED=HOST[:PORT]`; an IPv6 address stands in brackets when a port follows.

    Raises:
        InputError: one is malformed or given twice.
    """

    def __init__(self, given: Iterable[str] = ()) -> None:
        self._targets: dict[str, tuple[str, int | None]] = {}
        problems: list[Problem] = []
        for text in given:
            declared, _, reached = text.partition("=")
            target = _host_and_port(reached)
            if not declared or target is None:
                message = f"{text!r} is not DECLARED=HOST[:PORT], such as 192.0.2.11=127.0.0.1:15985"
                problems.append(Problem(code="bad-option", message=message, where=_OPTION))
            elif declared.casefold() in self._targets:
                message = f"{declared} is given twice"
                problems.append(Problem(code="bad-option", message=message, where=_OPTION))
            else:
                self._targets[declared.casefold()] = target
        if problems:
            raise InputError(*problems)

    def require_declared(self, site: Site) -> None:
        """Raise `InputError` for a redirection of something that the site does not declare: it would do nothing."""
        known = {node.address for node in site.nodes} | {node.name for node in site.nodes}
        known |= {*(site.network.dns.servers or ()), *(site.network.dns.forwarders or ())}
        known |= {*(site.directory.servers or ()), *filter(None, [site.directory.domain])}
        folded = {name.casefold() for name in known}
        kinds = "node, DNS server, domain controller or domain"
        problems = [
            Problem(
                code="bad-option",
                message=f"{declared} is no declared {kinds}; declared: {', '.join(sorted(known))}",
                where=_OPTION,
            )
            for declared in self._targets
            if declared not in folded
        ]
        if problems:
            raise InputError(*problems)

    def reach(self, host: str, port: int, *, name: str = "") -> tuple[str, int]:
        """Where to connect for `host` (or the node called `name`) and `port`."""
        reached_host, reached_port = self._target(host, name)
        return reached_host, reached_port or port

    def tried_at(self, host: str, port: int, *, own: int | None, name: str = "") -> tuple[str, int] | None:
        """Where to try any port of `host` (or of the node called `name`).

        None where a redirection names a port and `port` is another than `own`, for which that one stands: what is found
        there would be told of a port that nobody has tried.
        """
        reached_host, reached_port = self._target(host, name)
        if reached_port is not None and port != own:
            return None
        return reached_host, reached_port or port

    def _target(self, host: str, name: str) -> tuple[str, int | None]:
        for declared in (host, name):
            if declared and (target := self._targets.get(declared.casefold())) is not None:
                return target
        return host, None

    def listed(self) -> tuple[Redirection, ...]:
        """All redirections, for the report."""
        return tuple(
            Redirection(declared=declared, reached_at=f"{host}:{port}" if port else host)
            for declared, (host, port) in sorted(self._targets.items())
        )


def _host_and_port(text: str) -> tuple[str, int | None] | None:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port_text = rest[1:] if rest else ""
    elif text.count(":") > 1:
        host, port_text = text, ""
    else:
        host, _, port_text = text.partition(":")
    if not _is_host(host) or (text.endswith(":") and not port_text and text.count(":") == 1):
        return None
    if not port_text:
        return host, None
    if not (port_text.isascii() and port_text.isdigit() and 0 < int(port_text) < 65536):
        return None
    return host, int(port_text)


def _is_host(text: str) -> bool:
    """Whether anything could be looked up by `text`; an odd one would fail in every source, each in its own way."""
    try:
        return bool(text.encode("idna")) and _NO_HOST.search(text) is None
    except UnicodeError:
        return False
