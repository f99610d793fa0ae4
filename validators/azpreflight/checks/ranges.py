"""Addresses, pools and networks of the declaration as numbers, so that they can be held against each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from netaddr import IPAddress, IPNetwork, IPRange
from netaddr.core import AddrFormatError

from azpreflight.checks.view import View
from azpreflight.model import Value
from azpreflight.site.formats import is_ipv4, is_subnet
from azpreflight.site.model import Range

Span: TypeAlias = IPNetwork | IPRange
"""Addresses without a gap: one, a pool, or a network."""


def address(text: Value) -> IPAddress | None:
    """The IPv4 address that `text` is, or None. Zone indices and IPv6 are None as well."""
    return IPAddress(text) if isinstance(text, str) and is_ipv4(text) else None


def network(text: str | None) -> IPNetwork | None:
    """The IPv4 network that `text` is, or None."""
    return IPNetwork(text) if text is not None and is_subnet(text) else None


def single(text: str) -> Span | None:
    """An IPv4 address as a span of one, or None."""
    found = address(text)
    return None if found is None else IPNetwork(found)


def span(pool: Range) -> Span | None:
    """The addresses of a pool; None when an end is no IPv4 address, or when it runs backwards."""
    try:
        return IPRange(pool.start, pool.end) if is_ipv4(pool.start) and is_ipv4(pool.end) else None
    except AddrFormatError:
        return None


def spelled(pool: Range) -> str:
    """A pool as people write it."""
    return f"{pool.start}-{pool.end}"


def pools(view: View) -> tuple[Range, ...]:
    """The declared pools of the infrastructure; none when none are declared."""
    return view.site.network.management.pools or ()


def pool_spans(view: View) -> Iterator[tuple[str, Span]]:
    """Every pool that can be understood, with its spelling."""
    for pool in pools(view):
        found = span(pool)
        if found is not None:
            yield spelled(pool), found


def cluster_address(view: View) -> str | None:
    """The address that the cluster will have: the first of the first pool. None when there is none to tell."""
    return next((pool.start for pool in pools(view)[:1] if is_ipv4(pool.start)), None)


def overlap(left: Span, right: Span) -> bool:
    """Whether two spans have an address in common."""
    return bool(left.first <= right.last and right.first <= left.last)
