"""WinRM as the deployment and its operator need it."""

from __future__ import annotations

from collections.abc import Iterator

from netaddr import IPAddress
from netaddr.core import AddrFormatError

from azpreflight.checks.check import NoParameters, check, judged, unjudged
from azpreflight.checks.generic import Service, service_findings
from azpreflight.checks.view import Row, View
from azpreflight.model import Finding


def listens_on(listener: Row, address: IPAddress) -> bool:
    """Whether a listener of WinRM takes connections on `address`, by what it listens on, else by what it is set to."""
    told = _told(listener)
    if told:
        return any(_parsed(text) == address for text in told)
    return listener["Address"] == "*" or _parsed(listener["Address"].removeprefix("IP:")) == address


def _told(listener: Row) -> list[str]:
    """The addresses that a listener says it listens on. None of them, and nothing said, look alike on the wire."""
    if "ListeningOn" not in listener:
        return []
    return list(listener["ListeningOn"] or ())


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
    enabled = [row for row in view.rows("winrm.listeners") if row["Enabled"] is True]
    matching = [row for row in enabled if listens_on(row, wanted)]
    told = ", ".join(f"{row['Transport']} {row['Port']}" for row in matching)
    yield judged(
        bool(matching),
        "listener",
        if_good=f"WinRM listens on {wanted}: {told}",
        if_bad=f"no enabled listener of WinRM is on {wanted}",
        expected=str(wanted),
        actual=[_told(row) or row["Address"] for row in enabled],
    )


@check("remoting.trusted_hosts_are_named", "winrm.config")
def trusted_hosts_are_named(view: View, _: NoParameters) -> Iterator[Finding]:
    """The list of trusted hosts is empty or names hosts; it is no bare asterisk, which nothing can be added to."""
    client = view.value("winrm.config").get("Client", {})
    if "TrustedHosts" not in client:
        yield unjudged("TrustedHosts", "the configuration of WinRM tells no TrustedHosts")
        return
    listed = client["TrustedHosts"] or ""
    entries = [entry.strip() for entry in listed.split(",") if entry.strip()]
    yield judged(
        "*" not in entries,
        "TrustedHosts",
        if_good=f"TrustedHosts is {listed}" if entries else "TrustedHosts is empty",
        if_bad=f"TrustedHosts is {listed}, to which the deployment cannot add a node",
        expected="empty, or a list of names",
        actual=listed,
    )
