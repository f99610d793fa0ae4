"""The site: what the operator declares, as one frozen, typed tree. No I/O.

A field that is not declared is None. A field that is declared and left empty, as an ARM template that nobody filled in
has them, is "" or (): the two stay apart, because a rule is not applicable to the first and fails the second. Addresses
are text, so that a wrong one can be judged and shown as it was written; `site.yaml` is held to the formats named here
when it is read, an ARM file is not. No field holds a credential.
"""

from __future__ import annotations

import enum
from typing import Annotated

from msgspec import Meta

from azpreflight.model import Frozen, Problem, Profile, SiteInfo
from azpreflight.site.formats import Address, IPv4, NodeName, Port, ProxyUrl, Subnet, Text, Vlan
from azpreflight.site.uses import Service, Vendor


class DnsMode(enum.StrEnum):
    """Who answers for the zone: DNS servers outside the cluster, or the cluster itself with forwarders."""

    EXTERNAL = "external"
    FORWARDER = "forwarder"


class Traffic(enum.StrEnum):
    """What a Network ATC intent carries."""

    MANAGEMENT = "management"
    COMPUTE = "compute"
    STORAGE = "storage"


class Hardware(enum.StrEnum):
    """The class of machines, which decides limits and exemptions. VIRTUAL is a lab of virtual machines."""

    STANDARD = "standard"
    LOW_CAPACITY = "low-capacity"
    VIRTUAL = "virtual"


class StorageMode(enum.StrEnum):
    """What the deployment does with the data disks."""

    EXPRESS = "express"
    INFRA_ONLY = "infra-only"
    KEEP_STORAGE = "keep-storage"


class Cloud(enum.StrEnum):
    """An Azure cloud, as Azure's own tools name it."""

    PUBLIC = "AzureCloud"
    US_GOVERNMENT = "AzureUSGovernment"
    CHINA = "AzureChinaCloud"


class WitnessKind(enum.StrEnum):
    """The quorum witness that is wanted."""

    CLOUD = "cloud"
    FILE_SHARE = "file-share"
    NONE = "none"


class Transport(enum.StrEnum):
    """How the operator's machine proves who it is to WinRM. AUTO: Kerberos or NTLM, chosen before anything is sent."""

    AUTO = "auto"
    NTLM = "ntlm"
    KERBEROS = "kerberos"
    CREDSSP = "credssp"
    BASIC = "basic"
    CERTIFICATE = "certificate"


class DirectoryTls(enum.StrEnum):
    """How conversations with domain controllers are protected. NONE: by Kerberos alone, which seals every message."""

    LDAPS = "ldaps"
    STARTTLS = "starttls"
    NONE = "none"


class Node(Frozen):
    """A machine that becomes part of the cluster.

    address: its management address, where WinRM is asked; "" when an ARM file left it out.
    arc_resource_id: the Arc machine that stands for it in Azure.
    """

    name: NodeName
    address: Address
    arc_resource_id: Text | None = None


class Cluster(Frozen):
    """The cluster to be made.

    name: the computer name of the cluster. naming_prefix: of the objects that the deployment makes.
    rack_aware: the nodes stand in two racks. release: of Azure Local, such as 2510, where a requirement depends on it.
    vendor: who made the machines.
    """

    name: Text | None = None
    naming_prefix: Text | None = None
    hardware: Hardware | None = None
    rack_aware: bool | None = None
    release: (
        Annotated[str, Meta(pattern=r"^\d{4}$", description="year and month of a release, such as '2510'")] | None
    ) = None
    vendor: Vendor | None = None


class Range(Frozen):
    """IPv4 addresses from `start` to `end`, both belonging to it."""

    start: IPv4
    end: IPv4


class Management(Frozen):
    """The infrastructure network.

    pools: the ranges kept for the infrastructure; the first address of the first one becomes the cluster's.
    dhcp: whether addresses come from DHCP. allow_dhcp_reservation: accept DHCP with permanent reservations on nodes.
    dhcp_scopes: what DHCP servers hand out in the subnet, exclusions taken off; () when nothing is handed out.
    vlan: of the management traffic; 0 is untagged.
    """

    subnet: Subnet | None = None
    gateway: IPv4 | None = None
    pools: tuple[Range, ...] | None = None
    dhcp: bool | None = None
    allow_dhcp_reservation: bool = False
    dhcp_scopes: tuple[Range, ...] | None = None
    vlan: Vlan | None = None


class Dns(Frozen):
    """How names are resolved.

    servers: what nodes and infrastructure ask. zone: where the names of cluster and nodes live.
    forwarders: where the cluster's own DNS sends questions, in mode `forwarder`.
    outside_cluster: the operator's word that no DNS server runs on this cluster.
    dynamic_update: whether the zone takes secure dynamic updates.
    """

    mode: DnsMode = DnsMode.EXTERNAL
    servers: tuple[Address, ...] | None = None
    zone: Text | None = None
    forwarders: tuple[Address, ...] | None = None
    outside_cluster: bool | None = None
    dynamic_update: bool | None = None


class StorageAddress(Frozen):
    """The address of one node in one storage network, where addresses are given by hand."""

    node: NodeName
    address: IPv4
    subnet: Subnet | None = None


class StorageNetwork(Frozen):
    """One storage network: the adapter that carries it on every node, and its VLAN."""

    name: Text
    adapter: Text | None = None
    vlan: Vlan | None = None
    subnet: Subnet | None = None
    addresses: tuple[StorageAddress, ...] | None = None


class Storage(Frozen):
    """How the nodes exchange storage traffic, and what becomes of the data disks.

    auto_ip: addresses are chosen by the deployment. switchless: the storage adapters are cabled node to node.
    """

    networks: tuple[StorageNetwork, ...] | None = None
    auto_ip: bool | None = None
    switchless: bool | None = None
    mode: StorageMode | None = None


class IntentOverrides(Frozen):
    """What an intent sets differently from Network ATC's defaults."""

    jumbo_packet: int | None = None
    network_direct: bool | None = None
    network_direct_technology: Text | None = None
    iov: bool | None = None
    load_balancing: Text | None = None
    priority_cluster: int | None = None
    priority_smb: int | None = None
    bandwidth_smb: int | None = None


class Intent(Frozen):
    """A Network ATC intent: which adapters, of the same name on every node, carry which traffic."""

    name: Text
    traffic: tuple[Traffic, ...]
    adapters: tuple[Text, ...]
    overrides: IntentOverrides = IntentOverrides()


class VmNetwork(Frozen):
    """A logical network for virtual machines, so that its addresses can be held against reserved ones."""

    name: Text
    subnet: Subnet
    vlan: Vlan | None = None


class Network(Frozen):
    """Everything about addresses, names and adapters."""

    management: Management = Management()
    dns: Dns = Dns()
    storage: Storage = Storage()
    intents: tuple[Intent, ...] | None = None
    vm_networks: tuple[VmNetwork, ...] | None = None
    ntp_servers: tuple[Text, ...] | None = None


class Proxy(Frozen):
    """The proxy that nodes use for the internet. bypass: what they reach without it."""

    http: ProxyUrl | None = None
    https: ProxyUrl | None = None
    bypass: tuple[Text, ...] | None = None


class Azure(Frozen):
    """Where in Azure the cluster will be, and what of Azure it uses.

    arc_gateway: the nodes reach Azure through an Arc gateway. arc_gateway_prefix: the first label of its host name.
    services: all that are used beside the cluster; () for none.
    log_analytics_workspace: its id. data_collection_endpoint: the first label of its host name.
    tenant_restrictions: something on the way out adds the header of tenant restrictions, first version.
    """

    cloud: Cloud = Cloud.PUBLIC
    region: Text | None = None
    subscription: Text | None = None
    resource_group: Text | None = None
    tenant: Text | None = None
    arc_gateway: bool | None = None
    arc_gateway_prefix: Text | None = None
    services: tuple[Service, ...] | None = None
    log_analytics_workspace: Text | None = None
    data_collection_endpoint: Text | None = None
    tenant_restrictions: bool | None = None
    diagnostics_storage_account: Text | None = None


class KeyVault(Frozen):
    """The vault for the deployment's secrets. private_endpoint: it is reached through one."""

    name: Text | None = None
    private_endpoint: bool | None = None


class Witness(Frozen):
    """The quorum witness. path: of the share, for a file share witness."""

    kind: WitnessKind | None = None
    storage_account: Text | None = None
    path: Text | None = None


class Administrator(Frozen):
    """The local administrator of every node that the deployment uses."""

    name: Text | None = None


class Directory(Frozen):
    """Active Directory: of the domain to be joined or, with local identity, of one that must know nothing of this site.

    ou: its distinguished name. deployment_user: the lifecycle manager's. servers: domain controllers to ask, by name or
    address, in this order; those that DNS names when None. verify: check their certificates. ca_file: the authorities
    to trust, PEM; those that the operator's machine trusts when None.
    """

    domain: Text | None = None
    ou: Text | None = None
    deployment_user: Text | None = None
    servers: tuple[Text, ...] | None = None
    tls: DirectoryTls = DirectoryTls.LDAPS
    verify: bool = True
    ca_file: Text | None = None


class WinRM(Frozen):
    """How azpreflight reaches the nodes.

    port: 5985, or 5986 with https, when None. verify: check the certificate. ca_file: the authorities to trust, PEM.
    client_certificate, client_key: PEM files, for the transport `certificate`, which has https.
    """

    transport: Transport = Transport.NTLM
    https: bool = False
    port: Port | None = None
    verify: bool = True
    ca_file: Text | None = None
    client_certificate: Text | None = None
    client_key: Text | None = None


class Site(Frozen, kw_only=True):
    """What the operator declares."""

    name: Text
    profile: Profile
    cluster: Cluster = Cluster()
    nodes: Annotated[tuple[Node, ...], Meta(min_length=1)]
    network: Network = Network()
    proxy: Proxy = Proxy()
    azure: Azure = Azure()
    key_vault: KeyVault = KeyVault()
    witness: Witness = Witness()
    administrator: Administrator = Administrator()
    directory: Directory = Directory()
    winrm: WinRM = WinRM()

    @property
    def dns_suffix(self) -> str | None:
        """The domain in which cluster and nodes have their names, or None when none is declared."""
        if self.profile is Profile.ACTIVE_DIRECTORY:
            return self.directory.domain or self.network.dns.zone or None
        return self.network.dns.zone or None

    def fqdn(self, name: str) -> str | None:
        """The full DNS name of a node or of the cluster, or None when it is not known."""
        suffix = self.dns_suffix
        return f"{name}.{suffix}" if name and suffix else None

    def node(self, name: str) -> Node | None:
        """The node of that name, regardless of letter case."""
        return next((node for node in self.nodes if node.name.casefold() == name.casefold()), None)


class LoadedSite(Frozen):
    """A site, the identity of the file it came from, and what is odd about that file without making it unreadable."""

    site: Site
    info: SiteInfo
    problems: tuple[Problem, ...] = ()
