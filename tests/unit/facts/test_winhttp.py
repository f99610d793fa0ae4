"""The stored settings of WinHTTP: every length and flag of the layout, and bytes that are something else."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.facts.winhttp import WinHttpProxy, parse_winhttp


def blob(flags: int, *texts: bytes, size: int = 0x28) -> bytes:
    return struct.pack("<III", size, 0, flags) + b"".join(struct.pack("<I", len(text)) + text for text in texts)


DIRECT = bytes.fromhex("2800000000000000010000000000000000000000")
NAMED = blob(3, b"proxy.edge.example:3128", b"*.edge.example;192.0.2.*;<local>", size=0x18)


def test_no_proxy() -> None:
    found = parse_winhttp(DIRECT)
    assert found == WinHttpProxy(flags=1)
    assert found.direct
    assert found.servers == {}


def test_a_proxy_for_everything() -> None:
    found = parse_winhttp(NAMED)
    assert not found.direct
    assert found.servers == {"http": "proxy.edge.example:3128", "https": "proxy.edge.example:3128"}
    assert found.around == ("*.edge.example", "192.0.2.*", "<local>")


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        (b"http=a:80;https=b:443", {"http": "a:80", "https": "b:443"}),
        (b"HTTPS=b:443", {"https": "b:443"}),
        (b"http=a:80 ftp=c:21", {"http": "a:80"}),
        (b"http://a:80", {"http": "http://a:80", "https": "http://a:80"}),
        (b"https=http://b:443", {"https": "http://b:443"}),
        (b"", {}),
        (b" ; ", {}),
    ],
)
def test_a_proxy_by_scheme(text: bytes, servers: dict[str, str]) -> None:
    assert parse_winhttp(blob(3, text, b"")).servers == servers


def test_a_proxy_that_is_switched_off_is_none() -> None:
    assert parse_winhttp(blob(1, b"proxy:80", b"")).servers == {}


def test_a_script_and_looking_for_one_are_not_direct() -> None:
    found = parse_winhttp(blob(5, b"", b"", b"http://wpad.edge.example/proxy.pac"))
    assert found.script == "http://wpad.edge.example/proxy.pac"
    assert not found.direct
    assert not parse_winhttp(blob(9, b"", b"")).direct


def test_what_follows_the_texts_is_passed_over() -> None:
    assert parse_winhttp(NAMED + b"\xff" * 7).servers == parse_winhttp(NAMED).servers
    assert parse_winhttp(DIRECT + b"\0" * 32) == parse_winhttp(DIRECT)


def test_bytes_outside_of_ascii_stay_visible() -> None:
    assert parse_winhttp(blob(3, b"pr\xf6xy:80\0", b"")).proxy == "pr\\xf6xy:80"


@pytest.mark.parametrize("cut", [0, 4, 11, 12, 14, 20, 39, 40, 50])
def test_bytes_that_end_too_early_are_no_settings(cut: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        parse_winhttp(NAMED[:cut])


@given(st.binary())
def test_any_bytes_are_settings_or_a_value_error(data: bytes) -> None:
    try:
        found = parse_winhttp(data)
    except ValueError:
        return
    assert all(" " not in server for server in found.servers.values())
    assert all(found.around)
