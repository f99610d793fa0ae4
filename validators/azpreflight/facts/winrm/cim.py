"""CIM operations of one session: Enumerate and Pull, Get, reading methods, the WinRM configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Protocol
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from azpreflight.facts.classes import ClassTable
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.query import CimQuery
from azpreflight.facts.winrm.decode import Decoder
from azpreflight.facts.winrm.soap import ENUMERATION, TRANSFER, WQL, WSMAN, child, local, text_of
from azpreflight.model import Value

CONFIG_URI = f"{WSMAN}/config"
LISTENER_URI = f"{WSMAN}/config/listener"
MAX_ITEMS = 100_000
"""Rows of one answer after which a node is taken to be broken."""

_MAX_ELEMENTS = "<w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements>"

READING_METHODS = frozenset(
    {
        ("stdregprov", "enumkey"),
        ("stdregprov", "enumvalues"),
        ("stdregprov", "getdwordvalue"),
        ("stdregprov", "getqwordvalue"),
        ("stdregprov", "getstringvalue"),
        ("stdregprov", "getexpandedstringvalue"),
        ("stdregprov", "getmultistringvalue"),
        ("stdregprov", "getbinaryvalue"),
        ("msft_smbserverconfiguration", "getconfiguration"),
        ("msft_smbclientconfiguration", "getconfiguration"),
        ("win32_encryptablevolume", "getkeyprotectors"),
    }
)
"""The only methods that are ever invoked. They read; no pack can add to them."""


class Sender(Protocol):
    """What CIM operations need of a session."""

    def request(
        self,
        uri: str,
        action: str,
        body: str,
        *,
        deadline: Deadline,
        selectors: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> ET.Element:
        """Send one request and return the SOAP body of its answer."""
        ...


def resource_uri(namespace: str, name: str) -> str:
    """The resource of a class, or of a namespace when `name` is `*`."""
    return f"{WSMAN}/wmi/{namespace}/{name}"


def wql(query: CimQuery, where: str | None) -> str:
    """The WQL text of a query, with its condition filled in."""
    columns = "*" if query.properties == "all" else ",".join(query.properties)
    # Names come from checked packs, values went through `quote`.
    return f"select {columns} from {query.class_}" + (f" where {where}" if where else "")  # noqa: S608


def quote(text: str) -> str:
    r"""A value for use between quotes in WQL, in an object path inside one as well: `\`, `'` and `"` are escaped."""
    return text.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"')


def rows(sender: Sender, table: ClassTable, query: CimQuery, where: str | None, deadline: Deadline) -> list[Value]:
    """All rows of a query, decoded.

    Raises:
        WireError: a fault, no answer in time, or an answer that breaks the protocol.
    """
    properties = None if query.properties == "all" else query.properties
    decoder = Decoder(table, query.namespace, query.class_, properties)
    body = f'{_MAX_ELEMENTS}<w:Filter Dialect="{WQL}">{escape(wql(query, where))}</w:Filter>'
    return [decoder.item(item) for item in enumerate_(sender, resource_uri(query.namespace, "*"), body, deadline)]


def listeners(sender: Sender, deadline: Deadline) -> list[Value]:
    """The listeners of the WinRM service, as rows."""
    found = []
    for item in enumerate_(sender, LISTENER_URI, _MAX_ELEMENTS, deadline):
        row = {local(element): _plain(text_of(element)) for element in item if local(element) != "ListeningOn"}
        row["ListeningOn"] = [text_of(element) for element in item if local(element) == "ListeningOn"]
        found.append(row)
    return found


def config(sender: Sender, deadline: Deadline) -> Value:
    """The WinRM configuration as nested values."""
    body = sender.request(CONFIG_URI, f"{TRANSFER}/Get", "", deadline=deadline)
    root = child(body, "Config")
    if root is None:
        raise WireError(Status.FAILED, "the answer to a Get of the WinRM configuration holds no Config")
    return _tree(root)


def _tree(element: ET.Element) -> Value:
    if len(element):
        return {local(found): _tree(found) for found in element}
    # An empty container and an empty text look alike; a text is what readers expect of a leaf.
    return _plain(text_of(element))


def _plain(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else text


def invoke(
    sender: Sender,
    namespace: str,
    name: str,
    method: str,
    body: str,
    deadline: Deadline,
    *,
    selectors: Mapping[str, str] | None = None,
) -> ET.Element:
    """The output element of a reading method, of the class itself or of the instance with the keys in `selectors`.

    Raises:
        WireError: as for `rows`.
        ValueError: the method is not on the list of reading ones; nothing was sent.
    """
    if (name.casefold(), method.casefold()) not in READING_METHODS:
        raise ValueError(f"{name}.{method} is not on the list of reading methods")
    uri = resource_uri(namespace, name)
    content = f'<m:{method}_INPUT xmlns:m="{uri}">{body}</m:{method}_INPUT>'
    answer = sender.request(uri, f"{uri}/{method}", content, deadline=deadline, selectors=selectors)
    output = child(answer, f"{method}_OUTPUT")
    if output is None:
        raise WireError(Status.FAILED, f"the answer to {name}.{method} holds no output")
    return output


def enumerate_(sender: Sender, uri: str, body: str, deadline: Deadline) -> Iterator[ET.Element]:
    """The items of an enumeration, page by page. A context that is left open is released, on every path."""
    answer = sender.request(uri, f"{ENUMERATION}/Enumerate", f"<n:Enumerate>{body}</n:Enumerate>", deadline=deadline)
    page = _page(answer, "EnumerateResponse")
    count = 0
    context = _context(page)
    try:
        while True:
            for item in _items(page):
                count += 1
                if count > MAX_ITEMS:
                    raise WireError(Status.FAILED, f"more than {MAX_ITEMS} items came; the rest was left")
                yield item
            if child(page, "EndOfSequence") is not None:
                context = ""
            if not context:
                return
            pull = f"<n:Pull><n:EnumerationContext>{escape(context)}</n:EnumerationContext>{_PULL}</n:Pull>"
            answer = sender.request(uri, f"{ENUMERATION}/Pull", pull, deadline=deadline)
            page = _page(answer, "PullResponse")
            context = _context(page)
    finally:
        if context:
            with contextlib.suppress(WireError):
                release = f"<n:Release><n:EnumerationContext>{escape(context)}</n:EnumerationContext></n:Release>"
                sender.request(uri, f"{ENUMERATION}/Release", release, deadline=Deadline(5))


_PULL = "<n:MaxElements>32000</n:MaxElements>"


def _page(answer: ET.Element, name: str) -> ET.Element:
    page = child(answer, name)
    if page is None:
        raise WireError(Status.FAILED, f"the answer holds no {name}")
    return page


def _context(page: ET.Element) -> str:
    return text_of(child(page, "EnumerationContext"))


def _items(page: ET.Element) -> Iterator[ET.Element]:
    items = child(page, "Items")
    yield from items if items is not None else ()
