"""The parameters of an ARM file by name, from either of the forms in which they reach a reader."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from azpreflight.documents import Document, Place
from azpreflight.errors import InputError, nearest
from azpreflight.model import Problem
from azpreflight.site.arm_names import ALSO_NAMED, IN_RESOURCE, KNOWN
from azpreflight.site.arm_values import ABSENT, Reader, Slot

_SECURE = re.compile(r"pass+w|secret|credential|token|value$|sas$|key$", re.IGNORECASE)


def is_secure(name: str) -> bool:
    """Whether a parameter of that name holds a secret. When in doubt it does."""
    return _SECURE.search(name) is not None


class Parameters:
    """What a file says, by the names that the templates have for it, and the reader that collects its problems."""

    def __init__(self, reader: Reader, slots: Mapping[str, Slot], root: Place) -> None:
        self.reader = reader
        self._slots = slots
        self._root = root

    def __getitem__(self, name: str) -> Slot:
        """The slot of a parameter, absent when the file does not mention it."""
        for known_as in (name, ALSO_NAMED.get(name, name)):
            if (slot := self._slots.get(known_as.casefold())) is not None:
                return slot
        return Slot(ABSENT, name, self._root)

    def given(self, name: str) -> str | None:
        """A text that may be left out, but is a problem when it is mentioned and empty."""
        return self.reader.text(self[name], required=not self[name].absent)


def parameters_of(document: Document) -> Parameters | None:
    """The parameters in a JSON document, or None when it is neither a parameter file nor a deployment resource."""
    root = Slot(document.data, "", ())
    properties, parameters = root.member("properties"), root.member("parameters")
    if isinstance(properties.member("deploymentConfiguration").value, Mapping):
        # A resource leaves out what a deployment needs besides, such as the vault; that is no mistake in it.
        return Parameters(Reader(document, whole=False), _resource_slots(properties), properties.place)
    if not isinstance(parameters.value, Mapping):
        return None
    if root.member("resources").value is not ABSENT:
        message = "is the ARM template itself; name the parameter file that goes with it"
        raise InputError(Problem(code="not-a-site", message=message, where=document.name))
    reader = Reader(document, whole=True)
    slots = dict(_parameter_slots(parameters.value, parameters.place, reader))
    return Parameters(reader, slots, parameters.place)


def _parameter_slots(parameters: Mapping[str, Any], place: Place, reader: Reader) -> Iterator[tuple[str, Slot]]:
    """Each parameter by its folded name. A secure one has no value, whatever the file says."""
    known = {name.casefold() for name in KNOWN}
    for name, entry in parameters.items():
        whole = Slot(entry, name, (*place, name))
        if name.casefold() not in known:
            guess = nearest(name, KNOWN)
            hint = f"; did you mean {guess!r}?" if guess else ""
            reader.note("unknown-parameter", whole, f"no template of Azure Local has a parameter {name!r}{hint}")
        elif is_secure(name):
            yield name.casefold(), Slot(ABSENT, name, whole.place)
        elif not isinstance(entry, Mapping):
            reader.note("wrong-type", whole, f'{name} is not written as {{"value": …}}')
            yield name.casefold(), whole
        else:
            yield name.casefold(), _slot_in(whole)


def _slot_in(entry: Slot) -> Slot:
    value, reference = entry.member("value"), entry.member("reference")
    if value.value is not ABSENT:
        return Slot(value.value, entry.name, value.place)
    if reference.value is not ABSENT:
        return Slot(ABSENT, entry.name, reference.place, in_vault=True)
    return Slot(None, entry.name, entry.place)


def _resource_slots(properties: Slot) -> dict[str, Slot]:
    return {name.casefold(): _step_down(properties, path, name) for name, path in IN_RESOURCE.items()}


def _step_down(slot: Slot, path: Place, name: str) -> Slot:
    for step in path:
        if isinstance(step, str):
            slot = slot.member(step)
        else:
            items = slot.value if isinstance(slot.value, list) else []
            slot = Slot(items[step] if len(items) > step else ABSENT, slot.name, (*slot.place, step))
    return Slot(slot.value, name, slot.place)
