"""Reading methods other than StdRegProv's: a scenario says what each call gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from . import names
from .cim import scalar_text
from .soap import Request

READING = frozenset({"getconfiguration", "getkeyprotectors"})


@dataclass(frozen=True)
class Call:
    """What one method of one class, or of one instance of it, gives.

    outputs: a list is an array; `{class, properties}` an embedded instance.
    """

    path: str
    """Namespace, class and method: `root/Microsoft/Windows/SMB/MSFT_SmbServerConfiguration.GetConfiguration`."""
    selectors: Mapping[str, str]
    outputs: Mapping[str, Any]

    def fits(self, request: Request) -> bool:
        """Whether the request is this call."""
        wanted = {name.lower(): text for name, text in self.selectors.items()}
        given = {selector.name.lower(): selector.text for selector in request.selectors}
        path = f"{request.resource.removeprefix(names.WMI)}.{request.method}"
        return path.lower() == self.path.lower() and given == wanted

    def render(self, request: Request) -> str:
        """The body of the answer."""
        uri = escape(request.resource)
        children = "".join(_output(name, value, self.path) for name, value in self.outputs.items())
        return (
            f'<p:{request.method}_OUTPUT xmlns:xsi="{names.XSI}" xmlns:p="{uri}" xmlns:cim="{names.CIM_COMMON}">'
            f"{children}</p:{request.method}_OUTPUT>"
        )


def calls_of(raw: Sequence[Any]) -> tuple[Call, ...]:
    """The calls of a scenario."""
    calls = []
    for entry in raw:
        unknown = set(entry) - {"method", "selectors", "outputs"}
        if unknown:
            raise ValueError(f"methods: unknown keys {sorted(unknown)}")
        calls.append(Call(entry["method"], entry.get("selectors", {}), entry["outputs"]))
    return tuple(calls)


def _output(name: str, value: Any, path: str) -> str:
    if isinstance(value, list):
        return "".join(_output(name, item, path) for item in value)
    if isinstance(value, dict):
        namespace = path.rpartition("/")[0]
        properties = "".join(
            f"<q:{key}>{escape(scalar_text(item))}</q:{key}>" for key, item in value["properties"].items()
        )
        uri = f"{names.WMI}{escape(namespace)}/{value['class']}"
        return f'<p:{name} xmlns:q="{uri}" xsi:type="q:{value["class"]}_Type">{properties}</p:{name}>'
    return f"<p:{name}>{escape(scalar_text(value))}</p:{name}>"
