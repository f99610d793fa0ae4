"""Envelopes: what every request carries, and how an answer is taken apart."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status

ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
WSMAN = "http://schemas.microsoft.com/wbem/wsman/1"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"

MAX_ENVELOPE = 512_000
"""Bytes asked for per answer; a node caps it at its own MaxEnvelopeSizekb (500 by default)."""

DEEPEST = 30
"""Elements inside each other of one answer: about twice what Windows sends, and no more than a recording may hold."""

_NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_ENVELOPE = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    f' xmlns:n="{ENUMERATION}" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"'
    ' xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"'
    f' xmlns:rsp="{SHELL}"><s:Header>'
    '<a:To>{to}</a:To><w:ResourceURI s:mustUnderstand="true">{uri}</w:ResourceURI>'
    '<a:ReplyTo><a:Address s:mustUnderstand="true">'
    "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>"
    '<a:Action s:mustUnderstand="true">{action}</a:Action>'
    f'<w:MaxEnvelopeSize s:mustUnderstand="true">{MAX_ENVELOPE}</w:MaxEnvelopeSize>'
    "<a:MessageID>uuid:{id}</a:MessageID>"
    # English texts where the node has them. mustUnderstand must be false here, else the request is refused.
    '<w:Locale xml:lang="en-US" s:mustUnderstand="false"/><p:DataLocale xml:lang="en-US" s:mustUnderstand="false"/>'
    "<w:OperationTimeout>PT{timeout:.3f}S</w:OperationTimeout>{selectors}{options}</s:Header>"
    "<s:Body>{body}</s:Body></s:Envelope>"
)


def envelope(
    to: str,
    uri: str,
    action: str,
    body: str,
    *,
    timeout: float,
    selectors: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> str:
    """A request.

    Args:
        to: URL of the service.
        uri: resource.
        action: WS-Addressing action.
        body: XML of the body; its text must have been escaped.
        timeout: seconds that the node may take.
        selectors: keys of the instance, or of the shell.
        options: options of the shell plugin.

    Raises:
        WireError: a value holds a character that XML cannot carry.
    """
    message = _ENVELOPE.format(
        to=escape(to),
        uri=escape(uri),
        action=action,
        id=str(uuid.uuid4()).upper(),
        # What rounds to nothing would be refused.
        timeout=max(timeout, 0.001),
        selectors=_named("w:SelectorSet", "w:Selector", selectors),
        options=_named("w:OptionSet", "w:Option", options),
        body=body,
    )
    if (illegal := _NO_XML.search(message)) is not None:
        reason = f"not asked: the request holds the character {illegal[0]!r}, which XML cannot carry"
        raise WireError(Status.NOT_ASKED, reason)
    return message


def _named(outer: str, inner: str, values: Mapping[str, str] | None) -> str:
    if not values:
        return ""
    items = "".join(f"<{inner} Name={quoteattr(name)}>{escape(text)}</{inner}>" for name, text in values.items())
    return f"<{outer}>{items}</{outer}>"


def parse(body: bytes) -> ET.Element:
    """The root element of an answer.

    Raises:
        WireError: it is not well-formed XML in UTF-8, is too deep, or carries a document type, which no answer needs.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WireError(Status.FAILED, f"the answer is not UTF-8 (byte {error.start})") from error
    if "<!DOCTYPE" in text:
        raise WireError(Status.FAILED, "the answer carries a document type declaration, which WS-Management never does")
    try:
        root = ET.fromstring(text)  # noqa: S314 - entities need a document type, which was refused above
    except (ET.ParseError, ValueError) as error:
        raise WireError(Status.FAILED, f"the answer is not well-formed XML: {error}") from error
    level = [root]
    for _ in range(DEEPEST):
        level = [found for element in level for found in element]
        if not level:
            return root
    raise WireError(Status.FAILED, f"the answer has more than {DEEPEST} elements inside each other")


def local(element: ET.Element) -> str:
    """The name of an element without its namespace: prefixes and some namespaces differ between Windows versions."""
    return element.tag.rpartition("}")[2]


def descendant(element: ET.Element, name: str) -> ET.Element | None:
    """The first element of that local name, at any depth."""
    return next((found for found in element.iter() if local(found) == name), None)


def child(element: ET.Element, name: str) -> ET.Element | None:
    """The first direct child of that local name."""
    return next((found for found in element if local(found) == name), None)


def text_of(element: ET.Element | None) -> str:
    """The text of an element without the white space around it; "" when there is none."""
    return (element.text or "").strip() if element is not None else ""


def body_of(root: ET.Element) -> ET.Element:
    """The SOAP body.

    Raises:
        WireError: there is none.
    """
    body = child(root, "Body")
    if local(root) != "Envelope" or body is None:
        raise WireError(Status.FAILED, f"the answer is no SOAP envelope but <{local(root)[:60]}>")
    return body
