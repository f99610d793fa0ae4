"""Envelopes: what is sent is well-formed whatever it carries, and what comes is taken apart or refused."""

from __future__ import annotations

import contextlib
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.soap import DEEPEST, body_of, child, descendant, envelope, local, parse, text_of
from unit.facts.winrm.support import body, element

TO, URI, ACTION = "http://node1:5985/wsman", "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/*", "urn:action"
S, W = "{http://www.w3.org/2003/05/soap-envelope}", "{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}"
XML_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"))


def sent(content: str = "", **more: dict[str, str]) -> ET.Element:
    """An envelope, parsed."""
    return ET.fromstring(envelope(TO, URI, ACTION, content, timeout=60, **more))


def header(root: ET.Element, name: str) -> ET.Element:
    found = descendant(root, name)
    assert found is not None
    return found


def test_a_request_carries_what_windows_requires() -> None:
    root = sent("<n:Enumerate/>")
    for name in ("ResourceURI", "Action", "Address", "MaxEnvelopeSize"):
        assert header(root, name).get(f"{S}mustUnderstand") == "true"
    for name in ("Locale", "DataLocale"):
        assert header(root, name).get(f"{S}mustUnderstand") == "false"
    assert re.fullmatch(r"uuid:[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", text_of(header(root, "MessageID")))
    assert text_of(header(root, "OperationTimeout")) == "PT60.000S"
    assert text_of(header(root, "ResourceURI")) == URI
    assert [local(found) for found in body_of(root)] == ["Enumerate"]


def test_no_two_requests_have_the_same_id() -> None:
    assert text_of(header(sent(), "MessageID")) != text_of(header(sent(), "MessageID"))


def test_a_timeout_never_rounds_to_nothing() -> None:
    root = ET.fromstring(envelope(TO, URI, ACTION, "", timeout=0.0001))
    assert text_of(header(root, "OperationTimeout")) == "PT0.001S"


def test_without_selectors_and_options_there_are_no_sets() -> None:
    root = sent(selectors={}, options={})
    assert descendant(root, "SelectorSet") is descendant(root, "OptionSet") is None


@given(st.dictionaries(XML_TEXTS, XML_TEXTS, min_size=1, max_size=4))
def test_selectors_and_options_arrive_as_they_were_given(values: dict[str, str]) -> None:
    root = sent(selectors=values, options=values)
    for name in ("Selector", "Option"):
        found = {e.get("Name"): e.text or "" for e in root.iter() if local(e) == name}
        assert found == values
    assert len(root) == 2


def test_braces_are_nothing_special() -> None:
    assert sent("<p:X>{uri} {0} {}</p:X>").find(f".//{S}Body")[0].text == "{uri} {0} {}"  # type: ignore[index]


@pytest.mark.parametrize("character", ["\0", "\x1b", "\ufffe", "\x0b"])
def test_a_character_that_xml_cannot_carry_is_never_sent(character: str) -> None:
    with pytest.raises(WireError, match="cannot carry") as error:
        envelope(TO, URI, ACTION, f"<p:X>{character}</p:X>", timeout=60)
    assert error.value.status is Status.NOT_ASKED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<",
        b"<a>",
        b"not XML",
        b"<a>\0</a>",
        b"<a>&nothing;</a>",
        "<a/>".encode("utf-16"),
        b"<a>\xff</a>",
        b"<p:a/>",
        b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>',
        b'<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://192.0.2.1/x"><a/>',
        b"<a>" * (DEEPEST + 1) + b"</a>" * (DEEPEST + 1),
        b"<a>" * 200_000 + b"</a>" * 200_000,
    ],
)
def test_what_is_no_plain_xml_is_refused(data: bytes) -> None:
    with pytest.raises(WireError) as error:
        parse(data)
    assert error.value.status is Status.FAILED
    assert len(error.value.reason) < 200


@given(st.binary())
def test_bytes_are_an_element_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        assert parse(data).tag


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf<a/>",
        b'<?xml version="1.0" encoding="utf-8"?><a/>',
        b"<a>" * DEEPEST + b"</a>" * DEEPEST,
        b"<a/>\r\n",
    ],
)
def test_a_mark_of_utf8_a_declaration_and_a_deep_tree_are_taken(data: bytes) -> None:
    assert local(parse(data)) == "a"


@pytest.mark.parametrize("text", ["<a/>", "<Envelope/>", "<Envelope><Header/></Envelope>", "<html><Body/></html>"])
def test_what_is_no_envelope_is_refused_by_name(text: str) -> None:
    with pytest.raises(WireError, match="no SOAP envelope"):
        body_of(parse(text.encode()))


def test_names_go_without_their_namespaces() -> None:
    found = element('<p:Outer xmlns:q="urn:q"><q:Inner> a </q:Inner><Inner>b</Inner></p:Outer>')
    assert local(found) == "Outer"
    assert text_of(child(found, "Inner")) == "a"
    assert text_of(child(found, "Nothing")) == ""
    assert descendant(body("<a><b><c/></b></a>"), "c") is not None
