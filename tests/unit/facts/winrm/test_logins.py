"""Logins inside proxies: out of every text and out of the bytes that hold proxies, and nothing else is touched."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.facts.winhttp import parse_winhttp
from azpreflight.facts.winrm.logins import MASK, text_without_logins, without_logins


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("http://svc:pw@proxy.edge.example:3128", f"http://{MASK}@proxy.edge.example:3128"),
        ("http://svc:p;w@proxy:1", f"http://{MASK}@proxy:1"),
        ("http://svc:p@s@proxy:1", f"http://{MASK}@proxy:1"),
        ("http://svc@proxy:1", f"http://{MASK}@proxy:1"),
        ("go to http://svc:pw@a:1 or http://b:2", f"go to http://{MASK}@a:1 or http://b:2"),
    ],
)
def test_no_url_has_a_login(text: str, clean: str) -> None:
    assert without_logins(text) == clean
    assert without_logins([{"Key": "x", "Value": text}]) == [{"Key": "x", "Value": clean}]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("svc:pw@proxy:3128", f"{MASK}@proxy:3128"),
        ("http://svc:p/w@proxy:3128", f"http://{MASK}@proxy:3128"),
        ("http://svc:<'\">@proxy:3128", f"http://{MASK}@proxy:3128"),
        ("http=svc:pw@a:1;https=http://CORP\\svc:p@w@b:2", f"http={MASK}@a:1;https=http://{MASK}@b:2"),
        ("a:1 svc:p=w@b:2", f"a:1 {MASK}@b:2"),
        ("http=http://a:1;https=svc:pw@b:2", f"http=http://a:1;https={MASK}@b:2"),
    ],
)
def test_nothing_that_is_a_proxy_by_its_name_has_a_login(text: str, clean: str) -> None:
    value = {"ProxyServer": {"type": "REG_SZ", "data": text}, "httpsProxy": text}
    assert without_logins(value) == {"ProxyServer": {"type": "REG_SZ", "data": clean}, "httpsProxy": clean}


@pytest.mark.parametrize(
    "value",
    [
        "http=proxy:3128;https=proxy:3128",
        "https://management.azure.com/x@y",
        "12:00:00 someone@edge.example",
        "<Data Name='a:b'>someone@edge.example</Data>",
        "",
        None,
        True,
        7,
        {"type": "REG_DWORD", "data": 1},
        {"Blob": {"type": "REG_BINARY", "data": b"http://svc:pw@proxy".hex()}},
    ],
)
def test_what_is_no_proxy_stays(value: Any) -> None:
    assert without_logins(value) == value


def stored(proxy: bytes) -> dict[str, Any]:
    data = struct.pack("<IIII", 0x28, 7, 3, len(proxy)) + proxy + struct.pack("<I", 3) + b"a;b"
    return {"WinHttpSettings": {"type": "REG_BINARY", "data": data.hex()}}


@pytest.mark.parametrize(
    ("proxy", "clean"),
    [
        (b"http://svc:pw@proxy:1", "http://******@proxy:1"),
        (b"svc:pw@proxy:1", "******@proxy:1"),
        (b"http=svc:pw@a:1;https=http://svc:pw@b:2", "http=******@a:1;https=http://******@b:2"),
        (b"http=proxy:1", "http=proxy:1"),
    ],
)
def test_bytes_stay_readable(proxy: bytes, clean: str) -> None:
    value = without_logins(stored(proxy))["WinHttpSettings"]["data"]
    found = parse_winhttp(bytes.fromhex(value))
    assert (found.flags, found.proxy, found.bypass) == (3, clean, "a;b")


@pytest.mark.parametrize("data", [None, 7, "no hex", "ABC", ["41"], ""])
def test_bytes_that_are_none_stay(data: Any) -> None:
    value = {"DefaultConnectionSettings": {"type": "REG_BINARY", "data": data}}
    assert without_logins(value) == value


WORD = st.text(st.characters(codec="ascii", min_codepoint=33, exclude_characters=";"), min_size=4, max_size=12)


@given(user=WORD, password=WORD, scheme=st.sampled_from(["", "http://", "https=http://", "https="]))
def test_no_password_stays_anywhere(user: str, password: str, scheme: str) -> None:
    text = f"{scheme}{user}:{password}@198.51.100.7:1"
    assert f":{password}@" not in without_logins({"HTTPS_PROXY": text})["HTTPS_PROXY"]
    clean = bytes.fromhex(without_logins(stored(text.encode()))["WinHttpSettings"]["data"])
    assert f":{password}@".encode() not in clean


def test_what_programs_wrote_has_no_login_and_is_else_as_it_was() -> None:
    blob = "svc:pässwort@a:1".encode("latin-1").hex().upper()
    lines = (
        "\r\nHKEY_LOCAL_MACHINE\\Software\\X\r\n"
        "    ProxyServer    REG_SZ    http=svc:pässwort@a:1;https=b:2\r\n"
        f"    WinHttpSettings    REG_BINARY    {blob}\r\n"
        f"    Other    REG_BINARY    {blob}\r\n"
        "    Mail    REG_SZ    somebody@edge.example\r\n"
        '{"proxy.url": "http://svc:pässwort@a:1"}\r\n'
    )
    hidden = ("*" * len("svc:pässwort") + "@a:1").encode().hex().upper()
    clean = (
        "\r\nHKEY_LOCAL_MACHINE\\Software\\X\r\n"
        f"    ProxyServer    REG_SZ    http={MASK}@a:1;https=b:2\r\n"
        f"    WinHttpSettings    REG_BINARY    {hidden}\r\n"
        f"    Other    REG_BINARY    {blob}\r\n"
        "    Mail    REG_SZ    somebody@edge.example\r\n"
        f'{{"proxy.url": "http://{MASK}@a:1"}}\r\n'
    )
    assert text_without_logins(lines.encode()) == clean.encode()
    assert text_without_logins(b"\xff\xfe\x00 nothing of it\xa0") == b"\xff\xfe\x00 nothing of it\xa0"
