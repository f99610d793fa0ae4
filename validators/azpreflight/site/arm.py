"""The site as Azure Local's own files declare it: an ARM parameter file, or a deploymentSettings resource.

Such a file is often a template that nobody has filled in yet. It loads all the same: every field that is not filled in
becomes a problem of its own, and the rules judge what is there. Secrets in the file stay in the file.
"""

from __future__ import annotations

from collections.abc import Callable

from azpreflight.documents import Document, Place
from azpreflight.errors import InputError
from azpreflight.model import Problem, Profile
from azpreflight.site.arm_network import network_of
from azpreflight.site.arm_nodes import ArcMachine, arc_machines_of, nodes_of, with_arc_machines
from azpreflight.site.arm_parameters import Parameters, parameters_of
from azpreflight.site.consistency import duplicates, strangers
from azpreflight.site.model import (
    Administrator,
    Azure,
    Cluster,
    Directory,
    KeyVault,
    Site,
    Traffic,
    Witness,
    WitnessKind,
)
from azpreflight.site.uses import Vendor

_SWITCHED, _SWITCHLESS = "switchedMultiServerDeployment", "switchlessMultiServerDeployment"
_SINGLE = "singleServerDeployment"
_PROFILES = {"LocalIdentity": Profile.LOCAL_IDENTITY, "ActiveDirectory": Profile.ACTIVE_DIRECTORY, "": None}
_WITNESSES = {
    "Cloud": WitnessKind.CLOUD,
    "FileShare": WitnessKind.FILE_SHARE,
    "No Witness": WitnessKind.NONE,
    "": WitnessKind.NONE,
}
_TOPOLOGIES = {word: word for word in (_SWITCHED, _SWITCHLESS, _SINGLE)}
_LEVELS = {"Recommended": True, "Customized": False}
_ALL = frozenset(Traffic)
_PATTERNS = {
    "hyperConverged": {_ALL},
    "convergedManagementCompute": {_ALL - {Traffic.STORAGE}, frozenset({Traffic.STORAGE})},
    "convergedComputeStorage": {_ALL - {Traffic.MANAGEMENT}, frozenset({Traffic.MANAGEMENT})},
    "custom": None,
}
_RECOMMENDED_ON = (
    "driftControlEnforced",
    "credentialGuardEnforced",
    "smbSigningEnforced",
    "bitlockerBootVolume",
    "bitlockerDataVolumes",
    "wdacEnforced",
)


def read(document: Document, *, otherwise_named: str) -> tuple[Site, tuple[Problem, ...]] | None:
    """The site in a JSON document and what is odd about it, or None when the document is neither of the two forms.

    otherwise_named: the site's name where the file has no name for the cluster.
    """
    parameters = parameters_of(document)
    if parameters is None:
        return None
    site = _site(parameters, otherwise_named)
    where = _where(document, parameters)
    if found := list(duplicates(site, where)):
        raise InputError(*found)
    return site, (*parameters.reader.problems, *strangers(site, where))


def _where(document: Document, parameters: Parameters) -> Callable[[Place], str]:
    """Where the file has what the site has at a place; only nodes and storage networks are ever asked for."""

    def where(place: Place) -> str:
        name = "physicalNodesSettings" if place[0] == "nodes" else "storageNetworkList"
        return document.where(parameters[name].place)

    return where


def _site(parameters: Parameters, otherwise_named: str) -> Site:
    reader = parameters.reader
    profile = _profile(parameters)
    cluster = Cluster(
        name=reader.text(parameters["clusterName"], required=True),
        naming_prefix=parameters.given("namingPrefix"),
        rack_aware=_rack_aware(parameters),
        vendor=_vendor(parameters),
    )
    nodes = nodes_of(parameters)
    machines = arc_machines_of(parameters)
    # Only the deployment uses it, but it fails without it.
    parameters.given("hciResourceProviderObjectID")
    site = Site(
        name=cluster.name or otherwise_named,
        profile=profile,
        cluster=cluster,
        nodes=with_arc_machines(nodes, machines, parameters),
        network=network_of(parameters, profile, nodes),
        azure=_azure(parameters, machines),
        key_vault=KeyVault(name=reader.text(parameters["keyVaultName"], required=True)),
        witness=_witness(parameters),
        administrator=Administrator(name=reader.text(parameters["localAdminUserName"], required=True)),
        directory=_directory(parameters, profile),
    )
    _note_no_effect(parameters, site)
    return site


def _profile(parameters: Parameters) -> Profile:
    """Who proves identities. Published files say it in three ways, and some leave it open."""
    reader = parameters.reader
    said: Profile | None = reader.choice(parameters["identityProvider"], _PROFILES)
    domain, ou = parameters["domainFqdn"], parameters["adouPath"]
    in_domain = any(not slot.absent and not slot.empty for slot in (domain, ou))
    if said is Profile.LOCAL_IDENTITY and in_domain:
        filled = ou if domain.absent or domain.empty else domain
        message = f"identityProvider is LocalIdentity, so {filled.name} should not be filled in"
        reader.note("contradiction", filled, message)
    if said is not None:
        return said
    if in_domain:
        return Profile.ACTIVE_DIRECTORY
    if not domain.absent or not ou.absent:
        # Present and empty is the older way to ask for a cluster without a directory.
        return Profile.LOCAL_IDENTITY
    if not parameters["dnsServerConfig"].absent or not parameters["dnsZones"].absent:
        assumed = Profile.LOCAL_IDENTITY
    else:
        assumed = Profile.ACTIVE_DIRECTORY
    message = f"the file does not say which identity provider it wants; {assumed} is assumed from its other fields"
    reader.note("not-filled-in", parameters["identityProvider"], message)
    return assumed


def _directory(parameters: Parameters, profile: Profile) -> Directory:
    if profile is Profile.LOCAL_IDENTITY:
        return Directory()
    reader = parameters.reader
    return Directory(
        domain=reader.text(parameters["domainFqdn"], required=True),
        ou=reader.text(parameters["adouPath"], required=True),
        deployment_user=reader.text(parameters["AzureStackLCMAdminUsername"], required=True),
    )


def _rack_aware(parameters: Parameters) -> bool | None:
    pattern = parameters.reader.text(parameters["clusterPattern"])
    if pattern:
        return pattern.casefold() == "rackaware"
    return True if parameters.reader.items(parameters["localAvailabilityZones"]) else None


def _vendor(parameters: Parameters) -> Vendor | None:
    """Whose Solution Builder Extension is deployed; None where none is, or of a publisher that is not known."""
    publisher = (parameters.reader.text(parameters["sbePublisher"]) or "").casefold()
    return next((vendor for vendor in Vendor if vendor is not Vendor.OTHER and publisher.startswith(vendor)), None)


def _azure(parameters: Parameters, machines: tuple[ArcMachine, ...]) -> Azure:
    known = [machine for machine in machines if machine.name is not None]
    return Azure(
        region=parameters.given("location"),
        # The template deploys into the resource group of the Arc machines and nowhere names it.
        subscription=known[0].subscription if known else None,
        resource_group=known[0].resource_group if known else None,
        tenant=parameters.given("tenantId"),
        diagnostics_storage_account=parameters.given("diagnosticStorageAccountName"),
    )


def _witness(parameters: Parameters) -> Witness:
    reader = parameters.reader
    kind: WitnessKind | None = reader.choice(parameters["witnessType"], _WITNESSES)
    account, is_share = parameters["clusterWitnessStorageAccountName"], kind is WitnessKind.FILE_SHARE
    # The template makes the account even where no witness is wanted, and cannot without a name.
    made_anyway = reader.whole and not account.absent and not is_share
    return Witness(
        kind=kind,
        storage_account=reader.text(account, required=kind is WitnessKind.CLOUD or made_anyway),
        path=reader.text(parameters["witnessPath"], required=True) if is_share else None,
    )


def _note_no_effect(parameters: Parameters, site: Site) -> None:
    """Parameters that the template declares and never uses, where they contradict what it does use."""
    reader = parameters.reader
    nowhere = "is sent nowhere; what counts is"
    topology = reader.choice(parameters["networkingType"], _TOPOLOGIES)
    if topology == (_SWITCHED if site.network.storage.switchless else _SWITCHLESS):
        message = f"networkingType {topology} {nowhere} storageConnectivitySwitchless, which says otherwise"
        reader.note("no-effect", parameters["networkingType"], message)
    if topology == _SINGLE and len(site.nodes) > 1:
        message = f"networkingType {topology} {nowhere} physicalNodesSettings, which has {len(site.nodes)} nodes"
        reader.note("no-effect", parameters["networkingType"], message)
    pattern = reader.choice(parameters["networkingPattern"], _PATTERNS)
    carried = {frozenset(intent.traffic) for intent in site.network.intents or ()}
    if pattern is not None and carried and carried != pattern:
        message = f"networkingPattern {nowhere} intentList, which says otherwise"
        reader.note("no-effect", parameters["networkingPattern"], message)
    recommended = reader.choice(parameters["securityLevel"], _LEVELS)
    off = [name for name in _RECOMMENDED_ON if reader.flag(parameters[name]) is False]
    if recommended and off:
        message = f"securityLevel {nowhere} the single settings, and these are off: {', '.join(off)}"
        reader.note("no-effect", parameters["securityLevel"], message)
