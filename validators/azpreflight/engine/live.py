"""The live sources of a run: made of the declaration, the options and the credentials. Making them contacts nobody.

They load the network libraries: only a live run imports this module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from azpreflight.connect import Redirections
from azpreflight.credentials import Credential
from azpreflight.engine.directory import choose_login
from azpreflight.engine.transport import Choice, certificate_credential
from azpreflight.facts.collection import Collection, NodeSource, SiteSource
from azpreflight.facts.ldap.source import LdapSource
from azpreflight.facts.network.dns import DnsSource
from azpreflight.facts.network.http import HttpSource
from azpreflight.facts.network.tcp import TcpSource
from azpreflight.facts.network.tls import TlsSource
from azpreflight.facts.winrm.channel import Endpoint
from azpreflight.facts.winrm.raw import RawFolder
from azpreflight.facts.winrm.source import WinrmSource
from azpreflight.facts.winrm.tickets import Ticket
from azpreflight.site.model import Node, Site, WinRM

DNS_PORT = 53


def node_source(
    site: Site,
    credential: Credential,
    choice: Choice,
    ticket: Ticket | None,
    redirections: Redirections,
    *,
    try_all: bool,
    raw: Path | None = None,
) -> NodeSource:
    """What asks the nodes.

    Args:
        site: the declaration.
        credential: tried once on each node; a client certificate stands in its place where that is the transport.
        choice: how nodes are authenticated to.
        ticket: for Kerberos, else None.
        redirections: where nodes are reached.
        try_all: whether nodes are still tried after one has rejected the credential.
        raw: a new folder for the answers as they come; None for none.

    Raises:
        InputError: the folder cannot be written.
    """
    settings, certificate = site.winrm, choice.method == "certificate"
    if certificate:
        credential = certificate_credential(settings)

    def endpoint_of(node: Node) -> Endpoint:
        declared = node.address or node.name
        host, port = redirections.reach(declared, _port(settings), name=node.name)
        return Endpoint(
            host=host,
            port=port,
            https=settings.https,
            certificate_name=declared,
            verify=settings.verify,
            ca_file=settings.ca_file,
            transport=choice.method,
            client_certificate=settings.client_certificate if certificate else None,
            client_key=settings.client_key if certificate else None,
            service_host=site.fqdn(node.name) or node.name,
            ticket=ticket,
        )

    channel_of = RawFolder(raw, credential).channel_of if raw is not None else None
    return WinrmSource(credential, endpoint_of, try_all=try_all, channel_of=channel_of)


def site_sources(
    collection: Collection, directory: Credential | None, ticket: Ticket | None, redirections: Redirections
) -> tuple[SiteSource, ...]:
    """What this machine asks by itself.

    Args:
        collection: what is wanted.
        directory: the credential for the directory, None when none was given.
        ticket: of the run, when nodes are authenticated to with Kerberos.
        redirections: where declared addresses are reached.

    Raises:
        InputError: the way to log on to the directory is refused as unsafe.
    """
    login = choose_login(collection, directory, ticket)
    reach, tried_at = redirections.reach, _tried_at(collection.site, redirections)
    return DnsSource(reach), TcpSource(tried_at), TlsSource(tried_at), HttpSource(), LdapSource(login, reach)


def new_ticket(choice: Choice, credential: Credential, closing: contextlib.ExitStack) -> Ticket | None:
    """The Kerberos ticket of a run, which `closing` gives back; None for other transports. Nothing is asked for yet."""
    if choice.method != "kerberos":
        return None
    ticket = Ticket(credential.username, credential.password)
    closing.callback(ticket.close)
    return ticket


def _port(settings: WinRM) -> int:
    return settings.port or (5986 if settings.https else 5985)


def _tried_at(site: Site, redirections: Redirections) -> Callable[[str, int], tuple[str, int] | None]:
    """Where any port of a host is tried. A redirection to one port stands for the one that the host is declared for."""
    names = {declared: node.name for node in site.nodes for declared in (node.address, node.name) if declared}
    servers = {*(site.network.dns.servers or ()), *(site.network.dns.forwarders or ())}

    def tried_at(host: str, port: int) -> tuple[str, int] | None:
        if host in names:
            return redirections.tried_at(host, port, own=_port(site.winrm), name=names[host])
        return redirections.tried_at(host, port, own=DNS_PORT if host in servers else None)

    return tried_at
