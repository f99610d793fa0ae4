"""Which interface of a node carries management, and which of its addresses count. Shared by the network checks."""

from __future__ import annotations

from netaddr import IPNetwork

from azpreflight.checks.ranges import address
from azpreflight.checks.view import NotApplicable, Row, View
from azpreflight.site.model import Intent, Node, Traffic

LINK_LOCAL = IPNetwork("169.254.0.0/16")
LOOPBACK = IPNetwork("127.0.0.0/8")


def active_rows(view: View, fact: str, node: Node | None = None) -> list[Row]:
    """Rows of a TCP/IP fact without the persistent copies.

    The provider may answer a row twice, once for the active and once for the persistent store; a row that is only
    persistent belongs to an adapter that is gone and says nothing about the network as it is.
    """
    return [row for row in view.rows(fact, node) if row["Store"] != "Persistent"]


def addresses(view: View, node: Node | None = None) -> list[Row]:
    """IPv4 addresses of a node that can carry traffic: neither link-local (APIPA) nor loopback."""
    rows = []
    for row in active_rows(view, "net.ip_addresses", node):
        parsed = address(row["IPAddress"])
        if parsed is not None and parsed not in LINK_LOCAL and parsed not in LOOPBACK:
            rows.append(row)
    return rows


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
    rows = active_rows(view, "net.ip_addresses", node)
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
