"""Enumerations: pages of items, each with a context that is good for one Pull."""

import threading
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from . import names
from .faults import Code, Fault, Shape
from .log import RequestLog
from .soap import Request, local_name, new_id

PAGE_BYTES = 75_000
"""Items of one Pull; Windows stays near this even if the client allows more."""
_ENVELOPE_ROOM = 2_000


@dataclass
class _Open:
    user: str
    resource: str
    items: list[str]


class Enumerations:
    """The open enumerations of a server."""

    def __init__(self, log: RequestLog, per_user: int) -> None:
        self._log = log
        self._per_user = per_user
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}

    def check_quota(self, user: str) -> None:
        """Refuse an Enumerate when the user has too many open enumerations."""
        with self._lock:
            if sum(1 for entry in self._open.values() if entry.user == user) >= self._per_user:
                raise Fault(
                    Code.OPERATIONS_PER_USER,
                    text="This user has too many concurrent operations.",
                    shape=Shape.WMI_ERROR,
                    relates=False,
                )

    def start(self, request: Request, user: str, items: list[str], limit: int) -> str:
        """The body of an EnumerateResponse."""
        enumerate_ = request.body
        assert enumerate_ is not None, "the service checks this"
        if _child(enumerate_, "OptimizeEnumeration") is None:
            context = self._keep(user, request.resource, items)
            return f"<n:EnumerateResponse><n:EnumerationContext>{context}</n:EnumerationContext></n:EnumerateResponse>"
        # Windows gives exactly one item first whenever more follow, whatever MaxElements says.
        first, rest = items[:1], items[1:]
        _check_size(first, limit)
        context = self._keep(user, request.resource, rest) if rest else ""
        end = "" if rest else "<w:EndOfSequence/>"
        return (
            f"<n:EnumerateResponse><n:EnumerationContext>{context}</n:EnumerationContext>"
            f"<w:Items>{''.join(first)}</w:Items>{end}</n:EnumerateResponse>"
        )

    def pull(self, request: Request, user: str, limit: int) -> str:
        """The body of a PullResponse."""
        entry = self._take(request)
        # WS-Enumeration's default is one element.
        most = _number(request.body, "MaxElements", 1)
        room = min(limit - _ENVELOPE_ROOM, PAGE_BYTES)
        page: list[str] = []
        used = 0
        for item in entry.items[:most]:
            size = len(item.encode())
            if page and used + size > room:
                break
            page.append(item)
            used += size
        _check_size(page, limit)
        rest = entry.items[len(page) :]
        items = f"<n:Items>{''.join(page)}</n:Items>"
        if not rest:
            return f"<n:PullResponse>{items}<n:EndOfSequence/></n:PullResponse>"
        context = self._keep(user, entry.resource, rest)
        return f"<n:PullResponse><n:EnumerationContext>{context}</n:EnumerationContext>{items}</n:PullResponse>"

    def release(self, request: Request) -> None:
        """End an enumeration early."""
        self._take(request)

    def _keep(self, user: str, resource: str, items: list[str]) -> str:
        context = f"uuid:{new_id()}"
        with self._lock:
            self._open[context] = _Open(user, resource, items)
        self._log.context_opened(context)
        return context

    def _take(self, request: Request) -> _Open:
        element = _child(request.body, "EnumerationContext")
        context = (element.text or "").strip() if element is not None else ""
        with self._lock:
            entry = self._open.get(context)
            if entry is None:
                raise Fault(
                    Code.INVALID_CONTEXT, "n:InvalidEnumerationContext", "The enumeration context is not valid."
                )
            if entry.resource.lower() != request.resource.lower():
                raise Fault(
                    Code.PULL_DIFFERS,
                    "w:InvalidParameter",
                    "The request differs from the Enumerate that it continues.",
                )
            del self._open[context]
        self._log.context_closed(context)
        return entry


def _child(element: ET.Element | None, name: str) -> ET.Element | None:
    return next((child for child in element if local_name(child) == name), None) if element is not None else None


def _number(element: ET.Element | None, name: str, default: int) -> int:
    child = _child(element, name)
    if child is None:
        return default
    text = (child.text or "").strip()
    if not text.isdecimal() or int(text) == 0:
        raise Fault(Code.SCHEMA, "w:SchemaValidationError", f"{name} is no positive number.")
    return int(text)


def _check_size(items: list[str], limit: int) -> None:
    if items and len(items[0].encode()) > limit - _ENVELOPE_ROOM:
        raise Fault(Code.ANSWER_TOO_LARGE, "w:EncodingLimit", "The answer exceeds the envelope size of the request.")


def filter_of(request: Request) -> tuple[str, str] | None:
    """Dialect and text of the Filter of an Enumerate, None without one."""
    element = _child(request.body, "Filter")
    if element is None:
        return None
    return element.get("Dialect", ""), element.text or ""


def mode_of(request: Request) -> str:
    """The enumeration mode: empty, EnumerateEPR or EnumerateObjectAndEPR."""
    element = _child(request.body, "EnumerationMode")
    return (element.text or "").strip() if element is not None else ""


def is_enumerate_body(request: Request) -> bool:
    """Whether the body is what Enumerate, Pull or Release need."""
    return request.body is not None and request.body.tag == f"{{{names.ENUMERATION}}}{request.operation}"
