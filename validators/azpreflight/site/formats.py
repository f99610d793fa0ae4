"""The formats of what a site declares: texts that a value is held to when `site.yaml` is read."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, TypeAlias

from msgspec import Meta

from azpreflight.documents import accepted_by

_NODE_NAME = re.compile(r"[^\s\x00-\x1f\x7f:@/\\\[\]]{1,63}")
_URL_WITHOUT_USER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s@/]+/?")


def is_address(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 address without a zone."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_ipv4(text: str) -> bool:
    """Whether `text` is an IPv4 address in the usual four numbers."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def is_subnet(text: str) -> bool:
    """Whether `text` is an IPv4 network with its prefix length, all host bits zero."""
    network, slash, prefix = text.partition("/")
    if not slash or not prefix.isascii() or not prefix.isdigit():
        return False
    try:
        ipaddress.IPv4Network((network, int(prefix)))
    except ValueError:
        return False
    return True


def is_node_name(text: str) -> bool:
    """Whether `text` can name a node in a report, a test id and a folder; whether Windows takes it is for a rule."""
    return _NODE_NAME.fullmatch(text) is not None and not text.startswith(".") and "::" not in text


def is_proxy_url(text: str) -> bool:
    """Whether `text` is a URL of a host without a user in it."""
    return _URL_WITHOUT_USER.fullmatch(text) is not None


Text: TypeAlias = Annotated[str, accepted_by(bool, "a text that is not empty")]
Address: TypeAlias = Annotated[str, accepted_by(is_address, "an IP address such as 192.0.2.11")]
IPv4: TypeAlias = Annotated[str, accepted_by(is_ipv4, "an IPv4 address such as 192.0.2.1")]
Subnet: TypeAlias = Annotated[
    str, accepted_by(is_subnet, "an IPv4 network such as 192.0.2.0/24, with no bits set behind the prefix")
]
NodeName: TypeAlias = Annotated[
    str, accepted_by(is_node_name, "a computer name of 1 to 63 characters without blanks, slashes or any of : @ [ ]")
]
ProxyUrl: TypeAlias = Annotated[
    str, accepted_by(is_proxy_url, "a URL such as http://proxy.edge.example:3128, without user and password")
]
Vlan: TypeAlias = Annotated[int, Meta(ge=0, le=4095)]
Port: TypeAlias = Annotated[int, Meta(ge=1, le=65535)]
