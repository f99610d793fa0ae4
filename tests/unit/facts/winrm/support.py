"""What several tests of the wire share: answers written as text, and a node that answers from a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from azpreflight.facts.classes import CimClass, ClassTable, Property
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.winrm.faults import fault_of
from azpreflight.facts.winrm.soap import body_of, parse

NAMESPACES = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration" '
    'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" '
    'xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" '
    'xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" '
    'xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:p="urn:properties"'
)
NAMESPACE = "root/test"


def body(content: str) -> ET.Element:
    """The SOAP body of an answer with this content."""
    return body_of(parse(f"<s:Envelope {NAMESPACES}><s:Header/><s:Body>{content}</s:Body></s:Envelope>".encode()))


def element(content: str) -> ET.Element:
    """One element inside a body."""
    return body(content)[0]


def table(**properties: Property) -> ClassTable:
    """A table with the class Test_Thing of these properties, and with Test_Part, which things hold."""
    part = {"Size": Property(type="uint32"), "Labels": Property(type="string", array=True)}
    classes = {"Test_Thing": properties, "Test_Part": part}
    return ClassTable({NAMESPACE: {name: cim_class(**found) for name, found in classes.items()}})


def cim_class(**properties: Property) -> CimClass:
    return CimClass(documented=True, seen_on=(), methods=(), properties=properties)


@dataclass
class Sent:
    """A request as a sender got it."""

    uri: str
    action: str
    body: str
    deadline: Deadline
    selectors: Mapping[str, str] | None
    options: Mapping[str, str] | None
    seconds: float | None = None

    @property
    def operation(self) -> str:
        """Last part of the action."""
        return self.action.rpartition("/")[2]


@dataclass
class Node:
    """A sender that answers by a function; what it says as a fault is raised as a session does."""

    answer: Callable[[Sent], str]
    sent: list[Sent] = field(default_factory=list)

    def request(
        self,
        uri: str,
        action: str,
        body: str,
        *,
        deadline: Deadline,
        seconds: float | None = None,
        selectors: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> ET.Element:
        """Answer one request."""
        sent = Sent(uri, action, body, deadline, selectors, options, seconds)
        self.sent.append(sent)
        content = body_from(self.answer(sent))
        if (fault := fault_of(content)) is not None:
            raise fault
        return content


def body_from(content: str) -> ET.Element:
    return body(content)


def fault(code: int, message: str = "It did not work.", subcode: str = "w:InternalError") -> str:
    """A fault of the plain shape."""
    return (
        f"<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">Reason.</s:Text></s:Reason><s:Detail>'
        f'<f:WSManFault Code="{code}" Machine="node1"><f:Message>{message}</f:Message></f:WSManFault>'
        "</s:Detail></s:Fault>"
    )
