"""Distinguished names: whatever was put together comes apart the same, and spelling does not matter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.site.distinguished_name import DistinguishedName, Rdn

DN = DistinguishedName.parse

VALUES = st.text(st.sampled_from("aZ09 ,;+\"\\<>=#'&-_.äß漢\n\x00😀"), min_size=1, max_size=8)
PAIRS = st.tuples(st.sampled_from(["OU", "cn", "DC", "2.5.4.11"]), VALUES)
NAMES = st.lists(st.lists(PAIRS, min_size=1, max_size=2), min_size=1, max_size=5).map(
    lambda steps: DistinguishedName(tuple(Rdn(tuple(pairs)) for pairs in steps))
)


@given(NAMES)
def test_what_is_written_is_read_again(name: DistinguishedName) -> None:
    read = DN(str(name))
    assert read.rdns == name.rdns
    assert all(read.is_under(parent) for parent in read.parents)
    assert len(read.parents) < len(read.rdns)
    assert not read.is_under(read)


@given(st.lists(PAIRS, min_size=1, max_size=5), st.sampled_from(",;"))
def test_spelling_does_not_matter(pairs: list[tuple[str, str]], separator: str) -> None:
    octets = ("".join(f"\\{octet:02x}" for octet in value.encode()) for _, value in pairs)
    other = DN(separator.join(f" {type_.swapcase()} = {text} " for (type_, _), text in zip(pairs, octets, strict=True)))
    name = DistinguishedName(tuple(Rdn((pair,)) for pair in pairs))
    assert other == name
    assert hash(other) == hash(name)


@given(st.text(st.sampled_from('OU=,;+\\ 0aF"#\udc80ä'), max_size=12))
def test_garbage_is_refused_or_read_and_nothing_else(text: str) -> None:
    try:
        name = DN(text)
    except ValueError:
        return
    assert DN(str(name)) == name


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (r"OU=Edge\, north,DC=x", ["Edge, north", "x"]),
        (r"OU=Edge\2C north,DC=x", ["Edge, north", "x"]),
        (r"OU=M\C3\BCnchen,DC=x", ["München", "x"]),
        ("OU=  a  b  , DC = x ", ["a  b", "x"]),
        (r"OU=a\ ,DC=x", ["a ", "x"]),
        (r"OU=a\20 ,DC=x", ["a ", "x"]),
        (r"CN=old\0ACNF:1,DC=x", ["old\nCNF:1", "x"]),
        ("OU=a=b,DC=x", ["a=b", "x"]),
        ("OU=R&D <x>,DC=x", ["R&D <x>", "x"]),
        ("", []),
    ],
)
def test_values_are_without_escapes(text: str, values: list[str]) -> None:
    assert [rdn.pairs[0][1] for rdn in DN(text).rdns] == values


@pytest.mark.parametrize(
    "text", ["AZL", "OU=", "OU=a,", ",OU=a", "=a", "O U=a", "OU=a\\", r"OU=a\C3,DC=x", "OU=a+", "OU= ,DC=x"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever its words, they are for a message
        DN(text)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("OU=a b,DC=x", "ou=A  B,dc=X", True),
        ("OU=a+CN=b,DC=x", "CN=b+OU=a,DC=x", True),
        ("OU=ÄB,DC=x", "OU=äb,DC=x", True),
        ("OU=a,DC=x", "CN=a,DC=x", False),
        (r"OU=a\,DC\=x", "OU=a,DC=x", False),
        ("OU=a,DC=x", "OU=a,DC=y", False),
    ],
)
def test_sameness(left: str, right: str, same: bool) -> None:
    assert (DN(left) == DN(right)) is same


def test_below_is_not_beside() -> None:
    domain = DN("DC=corp,DC=example")
    assert DN("OU=a,DC=corp,DC=example").is_under(domain)
    assert not DN("OU=a,DC=x,DC=example").is_under(domain)
    # An escaped comma makes no step.
    assert not DN(r"OU=a\,OU=b,DC=corp,DC=example").is_under(DN("OU=b,DC=corp,DC=example"))
    assert not domain.is_under(DN("OU=a,DC=corp,DC=example"))


def test_the_domain_and_what_lies_above() -> None:
    name = DN("OU=a,OU=b,DC=corp,DC=example")
    assert name.domain == "corp.example"
    assert [str(parent) for parent in name.parents] == ["OU=b,DC=corp,DC=example", "DC=corp,DC=example"]
    assert not name.is_domain
    assert DN("DC=corp,DC=example").is_domain
    assert DN("DC=corp,DC=example").parents == ()
    assert not DN("").is_domain
    assert DN("OU=a,OU=b").domain == ""
