"""The CIM repository of a node: namespaces, classes, instances, and how they look on the wire."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import names
from .classes import CimClass, Embedded, Property, Reference, Scalar, Time, Value, class_table
from .faults import Code, Fault
from .soap import escape


@dataclass(frozen=True)
class Instance:
    """One object."""

    cls: CimClass
    values: Mapping[str, Value]
    """By lower-case property name; what is not here is null."""

    def value(self, prop: Property) -> Value:
        """The value of a property, None for null."""
        return self.values.get(prop.name.lower())


class CimStore:
    """Instances of one node, checked against the class table when it is built."""

    def __init__(
        self,
        instances: Mapping[str, Mapping[str, Sequence[Mapping[str, object]]]],
        *,
        missing: Iterable[str] = (),
        derives: Mapping[str, object] | None = None,
    ) -> None:
        """`instances`: namespace to class to rows. A namespace that is not named does not exist on the node."""
        table = class_table()
        self._classes: dict[str, dict[str, CimClass]] = {}
        for namespace in instances:
            if namespace.lower() not in table:
                raise ValueError(f"cim: {namespace} is not in the class table")
            self._classes[namespace.lower()] = dict(table[namespace.lower()])
        for name in missing:
            namespace, _, class_name = name.rpartition("/")
            if self._classes.get(namespace.lower(), {}).pop(class_name.lower(), None) is None:
                raise ValueError(f"missing_classes: {name} is not a class of this node")
        for name, spec in (derives or {}).items():
            self._derive(name, spec)
        self._instances: dict[tuple[str, str], list[Instance]] = {}
        for namespace, classes in instances.items():
            for class_name, rows in classes.items():
                cls = self._classes[namespace.lower()].get(class_name.lower())
                if cls is None:
                    raise ValueError(f"cim: {namespace} has no class {class_name}")
                self._instances[namespace.lower(), class_name.lower()] = [_instance(cls, row) for row in rows]

    def _derive(self, name: str, spec: object) -> None:
        base, extra = spec, {}
        if isinstance(spec, dict):
            if not spec.keys() <= {"base", "properties"}:
                raise ValueError(f"derives.{name}: only base and properties, not {sorted(spec)}")
            base, extra = spec.get("base"), spec.get("properties", {})
        more = {}
        for prop, kind in extra.items():
            more[prop.lower()] = Property(prop, kind.removesuffix("[]"), kind.endswith("[]"))
        found = False
        for classes in self._classes.values():
            cls = classes.get(str(base).lower())
            if cls is not None:
                classes[name.lower()] = cls.derive(name, more)
                found = True
        if not found:
            raise ValueError(f"derives.{name}: there is no class {base}")

    def has_namespace(self, namespace: str) -> bool:
        """Whether the namespace exists."""
        return namespace.lower() in self._classes

    def find(self, namespace: str, class_name: str) -> CimClass | None:
        """A class of the node, or None."""
        return self._classes.get(namespace.lower(), {}).get(class_name.lower())

    def instances(self, cls: CimClass) -> list[Instance]:
        """Instances of a class and of the classes derived from it."""
        namespace = cls.namespace.lower()
        family = {cls.name.lower()}
        # A class is declared after its base, so one pass finds all generations.
        for name, other in self._classes[namespace].items():
            if other.base is not None and other.base.lower() in family:
                family.add(name)
        return [
            instance
            for (where, name), rows in self._instances.items()
            if where == namespace and name in family
            for instance in rows
        ]


def _instance(cls: CimClass, row: Mapping[str, object]) -> Instance:
    values: dict[str, Value] = {}
    for name, raw in row.items():
        prop = cls.properties.get(str(name).lower())
        if prop is None:
            raise ValueError(f"cim: {cls.uri} has no property {name}")
        if prop.name.lower() in values:
            raise ValueError(f"cim: {cls.uri} has {name} twice")
        values[prop.name.lower()] = prop.convert(raw, f"cim: {cls.uri}")
    return Instance(cls, values)


def render_instance(instance: Instance) -> str:
    """An instance as `SELECT *`, Enumerate of a class and Get show it."""
    cls = instance.cls
    children = "".join(
        _property(f"p:{prop.name}", prop, instance.value(prop), cls, "cim:") for prop in cls.sorted_properties()
    )
    return (
        f'<p:{cls.name} xmlns:xsi="{names.XSI}" xmlns:p="{names.WMI}{escape(cls.uri)}" '
        f'xmlns:cim="{names.CIM_COMMON}" xsi:type="p:{cls.name}_Type">{children}</p:{cls.name}>'
    )


def render_fragment(instance: Instance, columns: Sequence[str]) -> str:
    """An instance as a query with a list of properties shows it: no class, no namespaces, alphabetical."""
    wanted = {column.lower() for column in columns}
    children = "".join(
        _property(prop.name, prop, instance.value(prop), instance.cls, "")
        for prop in instance.cls.sorted_properties()
        if prop.name.lower() in wanted
    )
    return f'<w:XmlFragment xmlns:xsi="{names.XSI}" xmlns:w="{names.WSMAN}">{children}</w:XmlFragment>'


def render_epr(instance: Instance) -> str:
    """The endpoint reference of an instance."""
    keys = {prop.name: _key_text(instance.value(prop)) for prop in instance.cls.keys}
    return (
        f'<a:EndpointReference xmlns:a="{names.ADDRESSING}" xmlns:w="{names.WSMAN}">'
        f"{_reference(instance.cls.namespace, instance.cls.name, keys)}</a:EndpointReference>"
    )


def _property(tag: str, prop: Property, value: Value, cls: CimClass, cim: str) -> str:
    if isinstance(value, tuple):
        return "".join(_element(tag, item, cls, cim) for item in value if item is not None)
    if value is None:
        # A null array is left out altogether; only a null scalar is visible.
        return "" if prop.array else f'<{tag} xsi:nil="true"/>'
    return _element(tag, value, cls, cim)


def _element(tag: str, value: Scalar, cls: CimClass, cim: str) -> str:
    if isinstance(value, Reference):
        content = _reference(value.namespace or cls.namespace, value.class_name, value.keys)
        return f'<{tag} xmlns:a="{names.ADDRESSING}" xmlns:w="{names.WSMAN}">{content}</{tag}>'
    if isinstance(value, Embedded):
        return _embedded(tag, value, cls, cim)
    if isinstance(value, Time):
        if value.is_wildcard:
            raise Fault(
                Code.SCHEMA,
                "w:SchemaValidationError",
                "The answer holds a value that the XML schema does not allow.",
            )
        kind = "Interval" if value.is_interval else "Datetime"
        return f"<{tag}><{cim}{kind}>{value.text}</{cim}{kind}></{tag}>"
    return f"<{tag}>{escape(scalar_text(value))}</{tag}>"


def scalar_text(value: str | int | float | bool | None) -> str:
    """A plain value as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _embedded(tag: str, value: Embedded, cls: CimClass, cim: str) -> str:
    uri = f"{names.WMI}{escape(cls.namespace)}/{value.class_name}"
    children = []
    for name in sorted(value.values, key=str.lower):
        item = value.values[name]
        # Without a class entry a null could be either kind: shown as a scalar.
        prop = Property(name, "string", isinstance(item, tuple))
        children.append(_property(f"q:{name}", prop, item, cls, cim))
    return f'<{tag} xmlns:q="{uri}" xsi:type="q:{value.class_name}_Type">{"".join(children)}</{tag}>'


def _reference(namespace: str, class_name: str, keys: Mapping[str, str]) -> str:
    selectors = "".join(
        f'<w:Selector Name="{escape(name)}">{escape(keys[name])}</w:Selector>' for name in sorted(keys, key=str.lower)
    )
    return (
        f"<a:Address>{names.ANONYMOUS}</a:Address><a:ReferenceParameters>"
        f"<w:ResourceURI>{names.WMI}{escape(namespace)}/{escape(class_name)}</w:ResourceURI>"
        f"<w:SelectorSet>{selectors}</w:SelectorSet></a:ReferenceParameters>"
    )


def _key_text(value: Value) -> str:
    return scalar_text(value) if isinstance(value, (str, int, float, bool)) else ""


def matches_selector(value: Value, text: str) -> bool:
    """Whether a key has the value that a selector gives, compared as WMI compares keys."""
    return isinstance(value, (str, int, float, bool)) and scalar_text(value).lower() == text.lower()
