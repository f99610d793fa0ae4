"""What a site uses beside the cluster itself, as far as it decides which outbound names are needed."""

from __future__ import annotations

import enum


class Vendor(enum.StrEnum):
    """Who made the machines, which decides whose updates they fetch. OTHER: nobody whose updates Azure Local knows."""

    DATAON = "dataon"
    DELL = "dell"
    HITACHI = "hitachi"
    HPE = "hpe"
    LENOVO = "lenovo"
    OTHER = "other"


class Service(enum.StrEnum):
    """What may be used beside the cluster itself, and asks for outbound names of its own."""

    AZURE_BACKUP = "azure-backup"
    AZURE_CLI = "azure-cli"
    AZURE_FILE_SYNC = "azure-file-sync"
    AZURE_MONITOR_AGENT = "azure-monitor-agent"
    AZURE_RBAC = "azure-rbac"
    AZURE_SITE_RECOVERY = "azure-site-recovery"
    AZURE_UPDATE_MANAGER = "azure-update-manager"
    CLUSTER_CONNECT = "cluster-connect"
    CUSTOM_LOCATIONS = "custom-locations"
    CUSTOM_LOGS = "custom-logs"
    CUSTOM_METRICS = "custom-metrics"
    DEFENDER = "defender"
    EXTENDED_SECURITY_UPDATES = "extended-security-updates"
    HOTPATCH = "hotpatch"
    KUBERNETES_EXTENSIONS = "kubernetes-extensions"
    KUBERNETES_PORTAL = "kubernetes-portal"
    PAY_AS_YOU_GO = "pay-as-you-go"
    REMOTE_SUPPORT = "remote-support"
    SQL_SERVER = "sql-server"
    SQL_SERVER_ENTRA = "sql-server-entra"
    SSH = "ssh"
    WINDOWS_ADMIN_CENTER = "windows-admin-center"
