"""Which interface of a node carries management, and which of its addresses count. Shared by the network checks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from netaddr import IPNetwork

from azpreflight.checks.ranges import address
from azpreflight.checks.view import NotApplicable, NotObserved, Row, View
from azpreflight.facts.observation import Status
from azpreflight.model import Value
from azpreflight.site.formats import is_address
from azpreflight.site.model import Intent, Node, Traffic

IP_ADDRESSES = "net.ip_addresses"
LINK_LOCAL = IPNetwork("169.254.0.0/16")
LOOPBACK = IPNetwork("127.0.0.0/8")


def active_rows(view: View, fact: str, node: Node | None = None) -> list[Row]:
    """Rows of a TCP/IP fact without the persistent copies.

    The provider may answer a row twice, once for the active and once for the persistent store; a row that is only
    persistent belongs to an adapter that is gone and says nothing about the network as it is.

    Raises:
        NotObserved: a row that is in neither store or names no interface, so that nobody knows what it speaks of.
    """
    rows = view.rows(fact, node)
    for row in rows:
        if row["Store"] not in ("Active", "Persistent"):
            _unusable(view, fact, node, f"a row is in the store {row['Store']}, neither active nor persistent")
        if not isinstance(row["InterfaceAlias"], str):
            _unusable(view, fact, node, f"a row names no interface: {row['InterfaceAlias']}")
    return [row for row in rows if row["Store"] == "Active"]


def _unusable(view: View, fact: str, node: Node | None, reason: str) -> NoReturn:
    raise NotObserved(fact, view.observation(fact, node).target, Status.FAILED, reason)


def address_rows(view: View, node: Node | None = None) -> list[Row]:
    """Every active IPv4 address of a node, also those that carry no traffic.

    Raises:
        NotObserved: there is none, although the loopback always has one, or one that is no address.
    """
    rows = active_rows(view, IP_ADDRESSES, node)
    if not rows:
        _unusable(view, IP_ADDRESSES, node, "the node tells no active IPv4 address, not even that of the loopback")
    for row in rows:
        if not isinstance(row["IPAddress"], str) or not is_address(row["IPAddress"]):
            _unusable(view, IP_ADDRESSES, node, f"an address on {row['InterfaceAlias']} is none: {row['IPAddress']}")
    return [row for row in rows if address(row["IPAddress"]) is not None]


def is_within(text: Value, *networks: IPNetwork) -> bool:
    """Whether `text` is an IPv4 address of one of the networks."""
    found = address(text)
    return found is not None and any(found in each for each in networks)


def on_interface(rows: Iterable[Row], alias: str | None) -> list[Row]:
    """The rows of one interface. Windows takes its name in any letter case."""
    if alias is None:
        return []
    return [row for row in rows if str(row["InterfaceAlias"]).casefold() == alias.casefold()]


def addresses(view: View, node: Node | None = None) -> list[Row]:
    """IPv4 addresses of a node that can carry traffic: neither link-local (APIPA) nor loopback."""
    return [row for row in address_rows(view, node) if not is_within(row["IPAddress"], LINK_LOCAL, LOOPBACK)]


def management_intent(view: View) -> Intent:
    """The declared intent that carries management.

    Raises:
        NotApplicable: the site declares none.
    """
    for intent in view.site.network.intents or ():
        if Traffic.MANAGEMENT in intent.traffic and intent.adapters:
            return intent
    raise NotApplicable("the site does not declare an intent with management traffic and adapters")


def virtual_adapter(intent: Intent) -> str:
    """The name that the host's adapter on the virtual switch of an intent must have."""
    return f"vManagement({intent.name})"


def management_aliases(view: View) -> tuple[str, ...]:
    """The names under which the management interface may appear, as the declared management intent implies.

    Before deployment the address sits on the first adapter of the intent; where a virtual switch was made beforehand
    it sits on `vManagement(<intent>)`. Empty when the site declares no management intent.
    """
    try:
        intent = management_intent(view)
    except NotApplicable:
        return ()
    return (intent.adapters[0], virtual_adapter(intent))


def management_interface(view: View, node: Node) -> str | None:
    """The alias of the interface that carries the node's management address; None when none can be told.

    Told by the declared address, else by the declared intent, else by the default route: in this order, because an
    address that is up is the strongest sign.
    """
    rows = address_rows(view, node)
    for row in rows:
        if row["IPAddress"] == node.address:
            return str(row["InterfaceAlias"])
    expected = {alias.casefold() for alias in management_aliases(view)}
    for row in rows:
        if str(row["InterfaceAlias"]).casefold() in expected:
            return str(row["InterfaceAlias"])
    for route in active_rows(view, "net.default_routes", node):
        return str(route["InterfaceAlias"])
    return None


NO_MANAGEMENT_INTERFACE = "no interface carries a management address or a default route"
