"""Every request that a node would get, in words, without contacting it: what `plan` shows a security officer."""

from __future__ import annotations

from azpreflight.facts.collection import Collection
from azpreflight.facts.errors import WireError
from azpreflight.facts.probes import probes_of
from azpreflight.facts.query import CimQuery, CurlQuery, MethodQuery, ProgramQuery, Query, RegistryQuery, WinrmQuery
from azpreflight.facts.winrm import cim, programs
from azpreflight.facts.winrm.conditions import described
from azpreflight.facts.winrm.dialect import CURRENT
from azpreflight.facts.winrm.lines import lines_of
from azpreflight.model import Frozen
from azpreflight.site.model import Node


class Request(Frozen):
    """One request of a plan.

    fact: what it answers. operation: of WS-Management, or `Command` in a shell. text: WQL, resource or command line.
    condition: when it is sent at all, None for always. items: the work list of a command.
    """

    fact: str
    operation: str
    text: str
    condition: str | None = None
    items: tuple[str, ...] = ()


def requests_of(collection: Collection, node: Node) -> list[Request]:
    """What one node would be asked, in order.

    The Pulls that follow an Enumerate, and the shell's own Create, Receive and Delete, go without saying.
    """
    return [
        request for name, query in collection.of_node(node).items() for request in _of(name, query, collection, node)
    ]


def _of(name: str, query: Query, collection: Collection, node: Node) -> list[Request]:
    condition = f"only when {query.asked_when} has rows" if query.asked_when is not None else None
    match query.read:
        case CimQuery() as read:
            try:
                wheres = described(query, read, collection.site, node)
            except WireError as error:
                return [Request(fact=name, operation="none", text=f"nothing is asked: {error.reason}")]
            return [
                Request(
                    fact=name,
                    operation="Enumerate",
                    text=f"{read.namespace}: {cim.wql(read, where)}",
                    condition=condition,
                )
                for where in wheres
            ]
        case MethodQuery() as read:
            text = f"{read.namespace}: {read.class_}.{read.method}"
            each = f"for each row of {', '.join(sorted(query.depends_on))}" if read.keys else None
            return [Request(fact=name, operation="Invoke", text=text, condition=each or condition)]
        case WinrmQuery(resource="authentication"):
            return [Request(fact=name, operation="none", text="what becomes of the first request; none of its own")]
        case WinrmQuery(resource="config"):
            return [Request(fact=name, operation="Get", text=cim.CONFIG_URI)]
        case WinrmQuery():
            return [Request(fact=name, operation="Enumerate", text=cim.LISTENER_URI)]
        case RegistryQuery() | ProgramQuery() as read:
            try:
                lines = lines_of(query, read, collection.site, node)
            except WireError as error:
                return [Request(fact=name, operation="none", text=f"nothing is asked: {error.reason}")]
            return [Request(fact=name, operation="Command", text=line.text) for line in lines]
        case CurlQuery() as read:
            probes = probes_of(read, name, node, collection)
            if not probes:
                return [
                    Request(fact=name, operation="none", text="nothing is asked: the site declares nothing to reach")
                ]
            items = tuple(f"{probe.url} (TLS {probe.tls} only)" if probe.tls else probe.url for probe in probes)
            return _curl(name, read, items)
        case _:
            return []


_PROXY = "through the proxy that the site declares"
_SECOND = (
    "only for what failed by its certificate, or since no revocation list was reached: the same once more without that "
    "check. Nothing but the GET is sent, and the answer is thrown away; it is to tell the causes apart, and to see the "
    "certificates"
)


def _curl(name: str, read: CurlQuery, items: tuple[str, ...]) -> list[Request]:
    """Which options the node's curl is given depends on its version; what a patched machine has is shown."""
    curl = programs.program("curl.exe")
    work, way = curl.line(CURRENT.arguments), None
    if read.proxy_from is not None:
        told = f"{read.proxy_from.environment} and {read.proxy_from.winhttp}"
        way = f"{_PROXY}; where it declares none, the one that {told} tell, if any"
    return [
        Request(fact=name, operation="Command", text=curl.line("--version")),
        Request(fact=name, operation="Command", text=work, condition=way, items=items),
        *(
            [Request(fact=name, operation="Command", text=work, condition=_SECOND)]
            if any(item.startswith("https://") for item in items)
            else []
        ),
    ]
