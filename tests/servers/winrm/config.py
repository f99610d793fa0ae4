"""The configuration of the WinRM service and its listeners, as winrm/config shows them."""

from collections.abc import Mapping, Sequence

from . import names
from .soap import escape

Tree = Mapping[str, object]

DEFAULTS: Tree = {
    "MaxEnvelopeSizekb": 500,
    "MaxTimeoutms": 60000,
    "MaxBatchItems": 32000,
    "MaxProviderRequests": 4294967295,
    "Client": {
        "NetworkDelayms": 5000,
        "URLPrefix": "wsman",
        "AllowUnencrypted": False,
        "Auth": {
            "Basic": True,
            "Digest": True,
            "Kerberos": True,
            "Negotiate": True,
            "Certificate": True,
            "CredSSP": False,
        },
        "DefaultPorts": {"HTTP": 5985, "HTTPS": 5986},
        "TrustedHosts": "",
    },
    "Service": {
        "RootSDDL": "O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;IU)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)",
        "MaxConcurrentOperations": 4294967295,
        "MaxConcurrentOperationsPerUser": 1500,
        "EnumerationTimeoutms": 240000,
        "MaxConnections": 300,
        "MaxPacketRetrievalTimeSeconds": 120,
        "AllowUnencrypted": False,
        "Auth": {
            "Basic": True,
            "Kerberos": True,
            "Negotiate": True,
            "Certificate": False,
            "CredSSP": False,
            "CbtHardeningLevel": "Relaxed",
        },
        "DefaultPorts": {"HTTP": 5985, "HTTPS": 5986},
        "IPv4Filter": "*",
        "IPv6Filter": "*",
        "EnableCompatibilityHttpListener": False,
        "EnableCompatibilityHttpsListener": False,
        "CertificateThumbprint": "",
        "AllowRemoteAccess": True,
    },
    "Winrs": {
        "AllowRemoteShellAccess": True,
        "IdleTimeout": 7200000,
        "MaxConcurrentUsers": 10,
        "MaxShellRunTime": 2147483647,
        "MaxProcessesPerShell": 25,
        "MaxMemoryPerShellMB": 1024,
        "MaxShellsPerUser": 30,
    },
}

DEFAULT_LISTENER: Tree = {
    "Address": "*",
    "Transport": "HTTP",
    "Port": 5985,
    "Hostname": "",
    "Enabled": True,
    "URLPrefix": "wsman",
    "CertificateThumbprint": "",
    "ListeningOn": ["127.0.0.1", "::1"],
}


class Config:
    """The configuration of one node: the defaults and what a scenario changes."""

    def __init__(self, changes: Tree, listeners: Sequence[Tree]) -> None:
        self._tree = _merge(DEFAULTS, changes, "config")
        self._listeners = [_merge(DEFAULT_LISTENER, listener, "listeners") for listener in listeners or [{}]]

    def number(self, *path: str) -> int:
        """A setting that is a number."""
        value = self._find(path)
        assert isinstance(value, int), path
        return value

    def flag(self, *path: str) -> bool:
        """A setting that is true or false."""
        return bool(self._find(path))

    def _find(self, path: Sequence[str]) -> object:
        node: object = self._tree
        for name in path:
            assert isinstance(node, Mapping), path
            node = node[name]
        return node

    def render(self, resource: str) -> str | None:
        """The XML of winrm/config or of a part such as /config/service/auth; None if there is no such part."""
        name, node = "Config", self._tree
        for part in resource[len(names.CONFIG) :].strip("/").split("/"):
            if not part:
                continue
            found = next((key for key in node if key.lower() == part.lower()), None)
            child = node[found] if found is not None else None
            if found is None or not isinstance(child, Mapping):
                return None
            name, node = found, child
        namespace = names.CONFIG + resource[len(names.CONFIG) :].rstrip("/").lower()
        return f'<cfg:{name} xmlns:cfg="{escape(namespace)}">{_render(node)}</cfg:{name}>'

    def render_listeners(self) -> list[str]:
        """The items of an enumeration of the listeners."""
        return [
            f'<cfg:Listener xmlns:xsi="{names.XSI}" xmlns:cfg="{names.CONFIG}/listener">'
            f"{_render(listener)}</cfg:Listener>"
            for listener in self._listeners
        ]


def _merge(base: Tree, changes: Tree, where: str) -> Tree:
    unknown = changes.keys() - base.keys()
    if unknown:
        raise ValueError(f"{where}: unknown settings {sorted(unknown)}")
    merged = dict(base)
    for name, value in changes.items():
        old = base[name]
        if isinstance(old, Mapping):
            if not isinstance(value, Mapping):
                raise ValueError(  # noqa: TRY004
                    f"{where}.{name}: a mapping, not {value!r}"
                )
            merged[name] = _merge(old, value, f"{where}.{name}")
        elif type(value) is not type(old):
            raise ValueError(f"{where}.{name}: {type(old).__name__}, not {value!r}")
        else:
            merged[name] = value
    return merged


def _render(node: Tree) -> str:
    parts = []
    for name, value in node.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping):
                content = _render(item)
            else:
                content = str(item).lower() if isinstance(item, bool) else escape(str(item))
            parts.append(f"<cfg:{name}>{content}</cfg:{name}>")
    return "".join(parts)
