"""What is wrong with plain data as a type: records, unions, mappings and lists, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias, cast

from msgspec import inspect

from azpreflight.documents.document import Place
from azpreflight.documents.text import INTEGER
from azpreflight.documents.values import (
    Fault,
    choice_faults,
    leaf_faults,
    length_faults,
    number_faults,
    text_faults,
    wrong_type,
)
from azpreflight.documents.words import count, shown
from azpreflight.errors import nearest

_Many: TypeAlias = inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType


def faults_at(data: Any, kind: inspect.Type, place: Place, meta: inspect.Metadata | None = None) -> Iterator[Fault]:
    """Everything that is wrong with the data at a place as `kind`. meta: what the type is annotated with."""
    match kind:
        case inspect.Metadata():
            yield from faults_at(data, kind.type, place, kind)
        case inspect.AnyType():
            return
        case inspect.StructType():
            yield from _struct_faults(data, kind, place)
        case inspect.UnionType():
            yield from _union_faults(data, kind, place)
        case inspect.EnumType(cls=cls):
            yield from choice_faults(data, [member.value for member in cls], place)
        case inspect.LiteralType(values=values):
            yield from choice_faults(data, list(values), place)
        case inspect.DictType():
            yield from _dict_faults(data, kind, place)
        case inspect.TupleType():
            yield from _tuple_faults(data, kind, place)
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            yield from _list_faults(data, kind, place)
        case inspect.StrType():
            yield from text_faults(data, kind, place, meta)
        case inspect.IntType() | inspect.FloatType():
            yield from number_faults(data, kind, place)
        case _:
            yield from leaf_faults(data, kind, place)


def _struct_faults(data: Any, kind: inspect.StructType, place: Place) -> Iterator[Fault]:
    if not isinstance(data, dict):
        yield wrong_type(data, kind, place)
        return
    names = [member.encode_name for member in kind.fields]
    if kind.tag_field is not None:
        names.insert(0, kind.tag_field)
        if data.get(kind.tag_field) != kind.tag:
            yield from choice_faults(data.get(kind.tag_field), [kind.tag], (*place, kind.tag_field))
    if kind.forbid_unknown_fields:
        for key in data:
            if key not in names:
                yield Fault(
                    (*place, key), "unknown-key", _unknown_key(key, [name for name in names if name not in data])
                )
    for member in kind.fields:
        if member.encode_name in data:
            yield from faults_at(data[member.encode_name], member.type, (*place, member.encode_name))
        elif member.required:
            yield Fault(place, "missing-key", f"the key {member.encode_name!r} is missing")


def _unknown_key(key: str, candidates: list[str]) -> str:
    guess = nearest(key, candidates)
    if guess is not None:
        return f"unknown key {key!r}; did you mean {guess!r}?"
    known = f"possible here: {', '.join(candidates)}" if candidates else "no other key is possible here"
    return f"unknown key {key!r}; {known}"


def _union_faults(data: Any, kind: inspect.UnionType, place: Place) -> Iterator[Fault]:
    tagged = [member for member in kind.types if isinstance(member, inspect.StructType) and member.tag_field]
    if isinstance(data, dict) and len(tagged) > 1:
        yield from _tagged_faults(data, tagged, place)
        return
    alternatives = [list(faults_at(data, member, place)) for member in kind.types]
    if all(alternatives):
        # The alternative that data of this kind was meant for is the one that has more to say than "wrong type here".
        meant = [found for found in alternatives if not _is_wrong_type_here(found, place)]
        if meant:
            yield from min(meant, key=len)
        else:
            yield wrong_type(data, kind, place)


def _is_wrong_type_here(found: list[Fault], place: Place) -> bool:
    return found[0].code == "wrong-type" and found[0].place == place


def _tagged_faults(data: dict[str, Any], tagged: list[inspect.StructType], place: Place) -> Iterator[Fault]:
    tag_field = cast("str", tagged[0].tag_field)
    if tag_field not in data:
        choices = ", ".join(str(member.tag) for member in tagged)
        yield Fault(place, "missing-key", f"the key {tag_field!r} is missing; it is one of: {choices}")
        return
    chosen = next((member for member in tagged if member.tag == data[tag_field]), None)
    if chosen is None:
        yield from choice_faults(data[tag_field], [member.tag for member in tagged], (*place, tag_field))
    else:
        yield from _struct_faults(data, chosen, place)


def _dict_faults(data: Any, kind: inspect.DictType, place: Place) -> Iterator[Fault]:
    if not isinstance(data, dict):
        yield wrong_type(data, kind, place)
        return
    yield from length_faults(data, kind, place, "member")
    for key, value in data.items():
        # Keys are text in a document; a number as key is told from its text when the value is built.
        if not isinstance(_bare(kind.key_type), inspect.IntType):
            yield from faults_at(key, kind.key_type, (*place, key))
        elif not INTEGER.fullmatch(key):
            yield Fault((*place, key), "wrong-type", f"expected a whole number as key, got {shown(key)}")
        yield from faults_at(value, kind.value_type, (*place, key))


def _list_faults(data: Any, kind: _Many, place: Place) -> Iterator[Fault]:
    if not isinstance(data, list):
        yield wrong_type(data, kind, place)
        return
    yield from length_faults(data, kind, place, "item")
    for at, item in enumerate(data):
        yield from faults_at(item, kind.item_type, (*place, at))


def _tuple_faults(data: Any, kind: inspect.TupleType, place: Place) -> Iterator[Fault]:
    if not isinstance(data, list):
        yield wrong_type(data, kind, place)
    elif len(data) != len(kind.item_types):
        yield Fault(place, "bad-value", f"expected {count(len(kind.item_types), 'item')}, got {len(data)}")
    else:
        for at, (item, item_type) in enumerate(zip(data, kind.item_types, strict=True)):
            yield from faults_at(item, item_type, (*place, at))


def _bare(kind: inspect.Type) -> inspect.Type:
    return _bare(kind.type) if isinstance(kind, inspect.Metadata) else kind
