"""What has to hold inside every site, whatever file it comes from, before anything can be planned for it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from azpreflight.documents import Place
from azpreflight.errors import unknown
from azpreflight.model import Problem, Profile
from azpreflight.site.formats import is_address
from azpreflight.site.model import DirectoryTls, Site

Where = Callable[[Place], str]
"""Tells where in the file the value at a place of the site was declared."""


def duplicates(site: Site, where: Where) -> Iterator[Problem]:
    """Node names and addresses that appear twice: results could not be told apart."""
    names: set[str] = set()
    addresses: set[str] = set()
    for at, node in enumerate(site.nodes):
        if node.name.casefold() in names:
            yield Problem(
                code="duplicate-node",
                message=f"the node name {node.name!r} appears twice; every node has its own",
                where=where(("nodes", at, "name")),
            )
        address = _same_address(node.address)
        if address in addresses:
            yield Problem(
                code="duplicate-address",
                message=f"the node address {node.address!r} appears twice; every node has its own",
                where=where(("nodes", at, "address")),
            )
        names.add(node.name.casefold())
        if address:
            addresses.add(address)


def _same_address(text: str) -> str:
    """One spelling of an address: an IPv6 address has many."""
    return str(ipaddress.ip_address(text)) if is_address(text) else text.casefold()


def strangers(site: Site, where: Where) -> Iterator[Problem]:
    """Storage addresses that are given for a node that the site does not have."""
    names = [node.name for node in site.nodes]
    known = {name.casefold() for name in names}
    for at, network in enumerate(site.network.storage.networks or ()):
        for item, address in enumerate(network.addresses or ()):
            if address.node.casefold() not in known:
                place = where(("network", "storage", "networks", at, "addresses", item, "node"))
                yield unknown("node", address.node, names, where=place)


def contradictions(site: Site, where: Where) -> Iterator[Problem]:
    """Declarations that cannot both be meant, though each can be judged."""
    directory = site.directory
    joining = [name for name in ("ou", "deployment_user") if getattr(directory, name) is not None]
    if site.profile is Profile.LOCAL_IDENTITY and joining:
        named = " and ".join(f"directory.{name}" for name in joining)
        message = f"local-identity has no use for {named}; a domain alone is searched for stale objects"
        yield Problem(code="contradiction", message=message, where=where(("directory",)))
    if site.profile is Profile.ACTIVE_DIRECTORY and site.directory.domain is None:
        message = "the profile is active-directory, but no directory.domain is declared"
        yield Problem(code="contradiction", message=message, where=where(("profile",)))
    if not site.winrm.https and (site.winrm.ca_file is not None or not site.winrm.verify):
        message = "winrm.verify and winrm.ca_file have no effect without winrm.https"
        yield Problem(code="no-effect", message=message, where=where(("winrm",)))
    if directory.tls is DirectoryTls.NONE and (directory.ca_file is not None or not directory.verify):
        message = "directory.verify and directory.ca_file have no effect when directory.tls is none"
        yield Problem(code="no-effect", message=message, where=where(("directory",)))
    if directory.servers is not None and directory.domain is None:
        message = "directory.servers has no effect without directory.domain"
        yield Problem(code="no-effect", message=message, where=where(("directory",)))
