"""Values of attributes: what each becomes."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.facts.ldap.attributes import decoded


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("cn", [b"dc1"], "dc1"),
        ("cn", [], None),
        ("objectClass", [], None),
        ("objectClass", [b"top"], ["top"]),
        ("OBJECTCLASS", [b"top", b"user"], ["top", "user"]),
        ("somethingElse", [b"a", b"b"], ["a", "b"]),
        ("userAccountControl", [b"66048"], 66048),
        ("groupType", [b"-2147483646"], -2147483646),
        ("accountExpires", [b"9223372036854775807"], 9223372036854775807),
        ("pwdLastSet", [b"0"], 0),
        ("isGlobalCatalogReady", [b"TRUE"], True),
        ("isDeleted", [b"FALSE"], False),
        ("currentTime", [b"20261121173654.0Z"], "2026-11-21T17:36:54Z"),
        ("whenCreated", [b"20261121173654.250Z"], "2026-11-21T17:36:54.25Z"),
        ("whenCreated", [b"yesterday"], "yesterday"),
        ("dSCorePropagationData", [b"16010101000000.0Z"], ["1601-01-01T00:00:00Z"]),
        ("objectSid", [bytes.fromhex("010100000000000512000000")], "S-1-5-18"),
        ("tokenGroups", [bytes.fromhex("010100000000000512000000")], ["S-1-5-18"]),
        ("objectGUID", [bytes(range(16))], "03020100-0504-0706-0809-0a0b0c0d0e0f"),
        ("thumbnailPhoto", [b"\xff\xd8\xff\xe0"], "(4 bytes that are no text)"),
    ],
)
def test_a_value_becomes_what_its_syntax_says(name: str, values: list[bytes], expected: Any) -> None:
    found = decoded(name, values)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("userAccountControl", b"many"),
        ("isDeleted", b"true"),
        ("objectSid", b"S-1-5-18"),
        ("objectGUID", b"short"),
        ("nTSecurityDescriptor", b""),
        ("whenCreated", b"\xff"),
        ("accountExpires", b"9" * 5000),
    ],
)
def test_a_value_that_is_not_of_its_syntax_is_an_error_that_names_the_attribute(name: str, value: bytes) -> None:
    with pytest.raises(ValueError, match=name):
        decoded(name, [value])


@given(
    st.sampled_from(["cn", "userAccountControl", "isDeleted", "whenCreated", "objectSid", "objectGUID", "tokenGroups"]),
    st.lists(st.binary(max_size=40), max_size=4),
)
def test_any_bytes_are_a_value_or_a_value_error(name: str, values: list[bytes]) -> None:
    with contextlib.suppress(ValueError):
        decoded(name, values)
