"""The names of an ARM file: which parameters there are, under which other names, and where a resource has the same."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

KNOWN = (
    # the templates without Active Directory
    "deploymentMode", "keyVaultName", "createNewKeyVault", "softDeleteRetentionDays", "diagnosticStorageAccountName",
    "logsRetentionInDays", "storageAccountType", "clusterName", "location", "tenantId", "witnessType",
    "clusterWitnessStorageAccountName", "localAdminUserName", "localAdminPassword", "hciResourceProviderObjectID",
    "arcNodeResourceIds", "namingPrefix", "identityProvider", "securityLevel", "driftControlEnforced",
    "credentialGuardEnforced", "smbSigningEnforced", "smbClusterEncryption", "bitlockerBootVolume",
    "bitlockerDataVolumes", "wdacEnforced", "streamingDataClient", "episodicDataUpload", "euLocation",
    "configurationMode", "subnetMask", "defaultGateway", "startingIPAddress", "endingIPAddress", "dnsServers",
    "useDhcp", "dnsServerConfig", "dnsZones", "physicalNodesSettings", "networkingType", "networkingPattern",
    "intentList", "storageNetworkList", "storageConnectivitySwitchless", "enableStorageAutoIp", "customLocation",
    "sbeVersion", "sbeFamily", "sbePublisher", "sbeManifestSource", "sbeManifestCreationDate", "partnerProperties",
    "partnerCredentiallist",
    # with Active Directory; the second spelling of the password is in published files
    "domainFqdn", "adouPath", "AzureStackLCMAdminUsername", "AzureStackLCMAdminPassword", "AzureStackLCMAdminPasssword",
    # retired
    "apiVersion", "arbDeploymentAppID", "arbDeploymentAppSecret", "arbDeploymentSPNObjectID", "secretsLocation",
    "localAdminSecretName", "localAdminSecretValue", "domainAdminSecretName", "domainAdminSecretValue",
    "arbDeploymentSpnName", "arbDeploymentSpnValue", "storageWitnessName", "storageWitnessValue",
    # storage area networks, racks, confidential machines, disconnected operations
    "infraVolLunId", "infraPerfLunId", "sanNetworkList", "clusterPattern", "localAvailabilityZones",
    "confidentialVmIntent", "witnessPath", "keyVaultSuffix", "edgeDevicesBatchSize",
    # the template that makes the prerequisites as well
    "deploymentPrefix", "deploymentUsername", "deploymentUserPassword", "clusterNodeNames", "domainOUPath",
    "securityConfiguration", "isEuropeanUnionLocation", "storageConfigurationMode", "storageNetworks",
    "computeIntentAdapterNames", "managementIntentAdapterNames",
)  # fmt: skip
"""Every parameter of the published templates."""

ALSO_NAMED: Mapping[str, str] = MappingProxyType(
    {
        "namingPrefix": "deploymentPrefix",
        "AzureStackLCMAdminUsername": "deploymentUsername",
        "adouPath": "domainOUPath",
        "configurationMode": "storageConfigurationMode",
        "storageNetworkList": "storageNetworks",
    }
)
"""What one family of templates calls differently for the same thing."""

_UNIT = ("deploymentConfiguration", "scaleUnits", 0)
_DATA = (*_UNIT, "deploymentData")
_INFRASTRUCTURE = (*_DATA, "infrastructureNetwork", 0)

IN_RESOURCE: Mapping[str, tuple[str | int, ...]] = MappingProxyType(
    {
        "arcNodeResourceIds": ("arcNodeResourceIds",),
        "clusterName": (*_DATA, "cluster", "name"),
        "witnessType": (*_DATA, "cluster", "witnessType"),
        "witnessPath": (*_DATA, "cluster", "witnessPath"),
        "clusterWitnessStorageAccountName": (*_DATA, "cluster", "cloudAccountName"),
        "namingPrefix": (*_DATA, "namingPrefix"),
        "identityProvider": (*_DATA, "identityProvider"),
        "domainFqdn": (*_DATA, "domainFqdn"),
        "adouPath": (*_DATA, "adouPath"),
        "configurationMode": (*_DATA, "storage", "configurationMode"),
        "subnetMask": (*_INFRASTRUCTURE, "subnetMask"),
        "defaultGateway": (*_INFRASTRUCTURE, "gateway"),
        "ipPools": (*_INFRASTRUCTURE, "ipPools"),
        "dnsServers": (*_INFRASTRUCTURE, "dnsServers"),
        "useDhcp": (*_INFRASTRUCTURE, "useDhcp"),
        "dnsServerConfig": (*_INFRASTRUCTURE, "dnsServerConfig"),
        "dnsZones": (*_INFRASTRUCTURE, "dnsZones"),
        "physicalNodesSettings": (*_DATA, "physicalNodes"),
        "intentList": (*_DATA, "hostNetwork", "intents"),
        "storageNetworkList": (*_DATA, "hostNetwork", "storageNetworks"),
        "sanNetworkList": (*_DATA, "hostNetwork", "sanNetworks"),
        "storageConnectivitySwitchless": (*_DATA, "hostNetwork", "storageConnectivitySwitchless"),
        "enableStorageAutoIp": (*_DATA, "hostNetwork", "enableStorageAutoIp"),
        "localAvailabilityZones": (*_DATA, "localAvailabilityZones"),
        "sbePublisher": (*_UNIT, "sbePartnerInfo", "sbeDeploymentInfo", "publisher"),
    }
)
"""Where the deploymentSettings resource has, under `properties`, what the parameters of a template become."""
