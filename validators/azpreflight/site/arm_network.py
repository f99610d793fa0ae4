"""The network of an ARM file: addresses, DNS, storage and intents."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from azpreflight.model import Profile
from azpreflight.site.arm_parameters import Parameters
from azpreflight.site.arm_values import Reader, Slot
from azpreflight.site.formats import is_ipv4, is_node_name
from azpreflight.site.model import (
    Dns,
    DnsMode,
    Intent,
    IntentOverrides,
    Management,
    Network,
    Node,
    Range,
    Storage,
    StorageAddress,
    StorageMode,
    StorageNetwork,
    Traffic,
)

_DNS_MODES = {"UseDnsServer": DnsMode.EXTERNAL, "UseForwarder": DnsMode.FORWARDER}
_STORAGE_MODES = {
    "Express": StorageMode.EXPRESS,
    "InfraOnly": StorageMode.INFRA_ONLY,
    "KeepStorage": StorageMode.KEEP_STORAGE,
}
_TRAFFIC = {"Management": Traffic.MANAGEMENT, "Compute": Traffic.COMPUTE, "Storage": Traffic.STORAGE}
_ENABLED = {"Enabled": True, "Disabled": False, "": None}
_HIGHEST_VLAN = 4095


def network_of(parameters: Parameters, profile: Profile, nodes: tuple[Node, ...]) -> Network:
    """Everything about addresses, names and adapters."""
    management = _management(parameters, nodes)
    storage = _storage(parameters)
    return Network(
        management=management,
        dns=_dns(parameters, profile, dhcp=management.dhcp is True),
        storage=storage,
        intents=_intents(parameters, storage),
    )


def _management(parameters: Parameters, nodes: tuple[Node, ...]) -> Management:
    reader = parameters.reader
    dhcp = reader.flag(parameters["useDhcp"])
    mask = reader.address(parameters["subnetMask"], required=not dhcp)
    gateway = reader.address(parameters["defaultGateway"], required=not dhcp)
    pools = _pools(parameters, required=not dhcp)
    # The mask alone is no network: the pool says which one is meant, and a rule tells whether the rest is in it.
    inside = [*(pool.start for pool in pools or ()), gateway or "", *(node.address for node in nodes)]
    return Management(
        subnet=_subnet(reader, parameters["subnetMask"], mask, inside), gateway=gateway, pools=pools, dhcp=dhcp
    )


def _pools(parameters: Parameters, *, required: bool) -> tuple[Range, ...] | None:
    reader = parameters.reader
    if not parameters["ipPools"].absent:
        items = reader.objects(parameters["ipPools"], required=required)
        ends = [(item.member("startingAddress"), item.member("endingAddress")) for item in items or ()]
    else:
        ends = [(parameters["startingIPAddress"], parameters["endingIPAddress"])]
    read = [(reader.address(start, required=required), reader.address(end, required=required)) for start, end in ends]
    if all(start is None and end is None for start, end in read):
        return None if not read or parameters["ipPools"].absent else ()
    return tuple(Range(start=start or "", end=end or "") for start, end in read if start or end)


def _subnet(reader: Reader, slot: Slot, mask: str | None, inside: Iterable[str]) -> str | None:
    """The network that an address and a mask make, "" where the mask is empty, None where it cannot be told."""
    if not mask:
        return mask
    address = next(filter(is_ipv4, inside), None)
    if not is_ipv4(mask):
        return None
    zeros = int(ipaddress.IPv4Address(mask)) ^ 0xFFFFFFFF
    if zeros & (zeros + 1):
        reader.note("bad-value", slot, f"{slot.name} is not a subnet mask")
        return None
    if address is None:
        return None
    return str(ipaddress.IPv4Network((address, 32 - zeros.bit_length()), strict=False))


def _dns(parameters: Parameters, profile: Profile, *, dhcp: bool) -> Dns:
    reader = parameters.reader
    mode: DnsMode = reader.choice(parameters["dnsServerConfig"], _DNS_MODES) or DnsMode.EXTERNAL
    zones = reader.objects(parameters["dnsZones"], required=profile is Profile.LOCAL_IDENTITY)
    names = [reader.text(zone.member("dnsZoneName"), required=True) for zone in zones or ()]
    forwarders = [
        address
        for zone in zones or ()
        for address in reader.addresses(zone.member("dnsForwarder"), required=mode is DnsMode.FORWARDER) or ()
    ]
    if len(names) > 1:
        reader.note("not-read", parameters["dnsZones"], "more than one DNS zone is declared; only the first is judged")
    return Dns(
        mode=mode,
        servers=reader.addresses(parameters["dnsServers"], required=mode is DnsMode.EXTERNAL and not dhcp),
        zone=next(iter(names), None if zones is None else ""),
        forwarders=None if zones is None else tuple(dict.fromkeys(forwarders)),
    )


def _storage(parameters: Parameters) -> Storage:
    reader = parameters.reader
    if not parameters["sanNetworkList"].absent and not parameters["sanNetworkList"].empty:
        reader.note("not-read", parameters["sanNetworkList"], "storage area networks are not judged")
    networks = reader.objects(parameters["storageNetworkList"])
    return Storage(
        networks=None if networks is None else tuple(_storage_network(reader, network) for network in networks),
        auto_ip=reader.flag(parameters["enableStorageAutoIp"]),
        switchless=reader.flag(parameters["storageConnectivitySwitchless"]),
        mode=reader.choice(parameters["configurationMode"], _STORAGE_MODES),
    )


def _storage_network(reader: Reader, network: Slot) -> StorageNetwork:
    vlan = network.member("vlanId")
    number = reader.number(vlan)
    if number is not None and not 0 <= number <= _HIGHEST_VLAN:
        reader.note("bad-value", vlan, f"{vlan.name} is no VLAN id")
    items = reader.objects(network.member("storageAdapterIPInfo"))
    read = [_storage_address(reader, item) for item in items or ()]
    return StorageNetwork(
        name=reader.text(network.member("name"), required=True) or "",
        adapter=reader.text(network.member("networkAdapterName"), required=True),
        vlan=number,
        addresses=None if items is None else tuple(address for address in read if address is not None),
    )


def _storage_address(reader: Reader, item: Slot) -> StorageAddress | None:
    node = reader.text(item.member("physicalNode"), required=True)
    address = reader.address(item.member("ipv4Address"), required=True)
    mask = reader.address(item.member("subnetMask"))
    subnet = _subnet(reader, item.member("subnetMask"), mask, [address or ""])
    if not node or not address:
        return None
    if not is_node_name(node):
        reader.note("bad-value", item.member("physicalNode"), f"{item.name}.physicalNode cannot be a computer name")
        return None
    return StorageAddress(node=node, address=address, subnet=subnet)


def _intents(parameters: Parameters, storage: Storage) -> tuple[Intent, ...] | None:
    reader = parameters.reader
    items = reader.objects(parameters["intentList"])
    if items is None and not parameters["managementIntentAdapterNames"].absent:
        return _intents_by_adapters(parameters, storage)
    return None if items is None else tuple(_intent(reader, item) for item in items)


def _intents_by_adapters(parameters: Parameters, storage: Storage) -> tuple[Intent, ...]:
    """The intents of the templates that name adapters only: the storage networks name those of the third."""
    reader = parameters.reader
    adapters = {
        Traffic.MANAGEMENT: reader.texts(parameters["managementIntentAdapterNames"], required=True) or (),
        Traffic.COMPUTE: reader.texts(parameters["computeIntentAdapterNames"]) or (),
        Traffic.STORAGE: tuple(dict.fromkeys(network.adapter for network in storage.networks or () if network.adapter)),
    }
    merged: dict[tuple[str, ...], list[Traffic]] = {}
    for traffic, names in adapters.items():
        if names:
            merged.setdefault(tuple(sorted(names)), []).append(traffic)
    return tuple(
        Intent(name="_".join(traffic), traffic=tuple(traffic), adapters=adapters[traffic[0]])
        for traffic in merged.values()
    )


def _intent(reader: Reader, item: Slot) -> Intent:
    traffic = [reader.choice(kind, _TRAFFIC) for kind in reader.items(item.member("trafficType"), required=True) or ()]
    return Intent(
        name=reader.text(item.member("name"), required=True) or "",
        traffic=tuple(kind for kind in traffic if kind is not None),
        adapters=reader.texts(item.member("adapter"), required=True) or (),
        overrides=_overrides(reader, item),
    )


def _overrides(reader: Reader, item: Slot) -> IntentOverrides:
    """What the intent really overrides: published files carry values beside a flag that switches them off."""
    nothing = Slot({}, item.name, item.place)
    switch, qos, adapter = (
        item.member(values) if reader.flag(item.member(flag)) else nothing
        for flag, values in (
            ("overrideVirtualSwitchConfiguration", "virtualSwitchConfigurationOverrides"),
            ("overrideQosPolicy", "qosPolicyOverrides"),
            ("overrideAdapterProperty", "adapterPropertyOverrides"),
        )
    )
    return IntentOverrides(
        jumbo_packet=reader.number(adapter.member("jumboPacket")),
        network_direct=reader.choice(adapter.member("networkDirect"), _ENABLED),
        network_direct_technology=reader.text(adapter.member("networkDirectTechnology")) or None,
        iov=reader.flag(switch.member("enableIov")),
        load_balancing=reader.text(switch.member("loadBalancingAlgorithm")) or None,
        priority_cluster=_either(reader, qos, "priorityValue8021Action_Cluster", "priorityValue8021ActionCluster"),
        priority_smb=_either(reader, qos, "priorityValue8021Action_SMB", "priorityValue8021ActionSMB"),
        bandwidth_smb=_either(reader, qos, "bandwidthPercentage_SMB", "bandwidthPercentageSMB"),
    )


def _either(reader: Reader, slot: Slot, *names: str) -> int | None:
    """The number under the first of the spellings that is there."""
    members = (slot.member(name) for name in names)
    return next((reader.number(member) for member in members if not member.absent), None)
