"""WinRM as the deployment and its operator need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netaddr import IPAddress
from netaddr.core import AddrFormatError

from azpreflight.checks.agreement import grouped, named_rows, told
from azpreflight.checks.check import NoParameters, check, judged, unjudged
from azpreflight.checks.generic import Service, service_findings
from azpreflight.checks.view import Row, View
from azpreflight.model import Finding


def listens_on(listener: Row, address: IPAddress) -> bool | None:
    """Whether a listener of WinRM takes connections on `address`; None when it does not tell on what it listens.

    What a listener is set to proves nothing: the filter of the service may leave it without any address. Only one
    that is set to another address is known not to listen on this one.
    """
    if (addresses := _told(listener)) is not None:
        return any(_parsed(text) == address for text in addresses)
    set_to = listener["Address"]
    if set_to.casefold().startswith("ip:"):
        other = _parsed(set_to[3:])
        return False if other is not None and other != address else None
    return None


def _told(listener: Row) -> list[str] | None:
    """The addresses that a listener says it listens on; None when it says none, which looks like none said."""
    if "ListeningOn" not in listener:
        return None
    given = listener["ListeningOn"]
    return given if isinstance(given, list) and given and all(isinstance(text, str) for text in given) else None


def _parsed(text: str) -> IPAddress | None:
    try:
        return IPAddress(text.partition("%")[0])
    except (AddrFormatError, ValueError):
        return None


@check("remoting.winrm_listens", "services.state", "winrm.listeners")
def winrm_listens(view: View, _: NoParameters) -> Iterator[Finding]:
    """WinRM runs, starts by itself, and has an enabled listener on the management address."""
    yield from service_findings(view, Service(name="WinRM"))
    wanted = _parsed(view.node.address)
    if wanted is None:
        yield unjudged("listener", f"the declared address of {view.node.name} is no IP address: {view.node.address!r}")
        return
    rows = named_rows(view, "winrm.listeners", "Address", "Transport")
    listeners = list(grouped(rows, "Address", "Transport").values())
    matching = [same_one[0] for same_one in listeners if _serves(same_one, wanted)]
    if not matching and (not rows or any(_serves(same_one, wanted) is None for same_one in listeners)):
        reason = f"{view.node.name} does not tell whether a listener of WinRM is on {wanted}"
        yield unjudged("listener", reason, expected=str(wanted), actual=[dict(row) for row in rows])
        return
    named = ", ".join(f"{row['Transport']} {row['Port']}" for row in matching)
    yield judged(
        bool(matching),
        "listener",
        if_good=f"WinRM listens on {wanted}: {named}",
        if_bad=f"no enabled listener of WinRM is on {wanted}",
        expected=str(wanted),
        actual=[_told(row) or row["Address"] for row in rows if row["Enabled"] is True],
    )


def _serves(rows: list[Row], wanted: IPAddress) -> bool | None:
    """Whether a listener, on which there may be several rows, is enabled and on that address; None when not told."""
    enabled = told(rows, "Enabled", bool)
    if enabled is not True:
        return enabled
    answers = {listens_on(row, wanted) for row in rows}
    return answers.pop() if len(answers) == 1 else None


@check("remoting.trusted_hosts_are_named", "winrm.config")
def trusted_hosts_are_named(view: View, _: NoParameters) -> Iterator[Finding]:
    """The list of trusted hosts is empty or names hosts; it is no bare asterisk, which nothing can be added to."""
    client = view.value("winrm.config").get("Client")
    listed = client.get("TrustedHosts") if isinstance(client, Mapping) else None
    if not isinstance(listed, str):
        message = f"the configuration of WinRM tells no list of trusted hosts: {listed}"
        yield unjudged("TrustedHosts", message, actual=listed)
        return
    entries = [entry.strip() for entry in listed.split(",") if entry.strip()]
    yield judged(
        all(entry.strip("*") for entry in entries),
        "TrustedHosts",
        if_good=f"TrustedHosts is {listed}" if entries else "TrustedHosts is empty",
        if_bad=f"TrustedHosts is {listed}, to which the deployment cannot add a node",
        expected="empty, or a list of names",
        actual=listed,
    )
