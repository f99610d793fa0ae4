"""From the XML of an answer to plain values: every shape in which Windows writes a property."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from azpreflight.facts.classes import Property
from azpreflight.facts.errors import WireError
from azpreflight.facts.winrm.decode import Decoder
from azpreflight.facts.winrm.soap import parse
from azpreflight.model import Value
from unit.facts.winrm.support import NAMESPACE, NAMESPACES, element, table

P = Property
PROPERTIES = {
    "Text": P(type="string"),
    "Texts": P(type="string", array=True),
    "Flag": P(type="boolean"),
    "Small": P(type="uint8"),
    "Big": P(type="uint64"),
    "Signed": P(type="sint32"),
    "Real": P(type="real64"),
    "Letter": P(type="char16"),
    "Numbers": P(type="uint16", array=True),
    "When": P(type="datetime"),
    "State": P(type="uint16", values={"2": "Enabled", "3": "Disabled"}),
    "States": P(type="uint16", array=True, values={"2": "Enabled", "3": "Disabled"}),
    "Owner": P(type="ref:Test_Owner"),
    "Part": P(type="object:Test_Part"),
    "Parts": P(type="object:Test_Part", array=True),
    "OnlyNewer": P(type="string", array=True, seen_on=("23h2",)),
}
ARRAYS = {"Texts", "Numbers", "States", "Parts"}


def decoder(*asked: str) -> Decoder:
    return Decoder(table(**PROPERTIES), NAMESPACE, "test_thing", asked or None)


def row(content: str, *asked: str) -> dict[str, Value]:
    """What an instance with this content decodes to, without the arrays that it does not have."""
    found = decoder(*asked).item(element(f'<p:Test_Thing xsi:type="p:Test_Thing_Type">{content}</p:Test_Thing>'))
    return {name: value for name, value in found.items() if value is not None or f":{name}" in content}


def one(name: str, *texts: str) -> Value:
    """What a property decodes to that came once for each text."""
    return row("".join(f"<p:{name}>{text}</p:{name}>" for text in texts))[name]


def when(text: str) -> Value:
    return one("When", f"<cim:Datetime>{text}</cim:Datetime>")


@pytest.mark.parametrize("name", ["Text", "Flag", "Big", "Real", "When", "State", "Owner", "Part", "Unknown"])
@pytest.mark.parametrize("nil", ["true", "1", "TRUE"])
def test_a_nil_scalar_is_none(name: str, nil: str) -> None:
    assert row(f'<p:{name} xsi:nil="{nil}"/>') == {name: None}


def test_a_scalar_that_did_not_come_is_not_in_the_row() -> None:
    assert "Text" not in decoder().item(element("<p:Test_Thing><p:Flag>true</p:Flag></p:Test_Thing>"))


def test_an_array_that_did_not_come_is_a_null_array() -> None:
    assert decoder().item(element("<p:Test_Thing/>")) == dict.fromkeys(ARRAYS)


def test_of_a_projection_only_the_arrays_that_were_asked_for_are_null() -> None:
    assert decoder("texts", "Text", "Nonsense").item(element("<w:XmlFragment/>")) == {"Texts": None}


def test_an_array_that_only_some_builds_have_may_be_absent() -> None:
    assert "OnlyNewer" not in decoder().item(element("<p:Test_Thing/>"))
    assert decoder("OnlyNewer").item(element("<w:XmlFragment/>")) == {"OnlyNewer": None}


def test_a_nil_array_is_none() -> None:
    assert row('<p:Texts xsi:nil="true"/>') == {"Texts": None}


def test_an_array_of_one_element_is_an_array() -> None:
    assert one("Texts", "a") == ["a"]
    assert one("Numbers", "5") == [5]


def test_a_null_inside_an_array_is_dropped() -> None:
    assert row('<p:Numbers>1</p:Numbers><p:Numbers xsi:nil="true"/><p:Numbers>3</p:Numbers>') == {"Numbers": [1, 3]}


def test_an_empty_string_is_not_a_null() -> None:
    assert one("Text", "") == ""
    assert row("<p:Text/>") == {"Text": ""}
    assert one("Texts", "", "b") == ["", "b"]


def test_blanks_belong_to_a_string() -> None:
    assert one("Text", "  two \n lines ") == "  two \n lines "


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("TRUE", True), ("False", False), ("1", True), ("0", False)]
)
def test_booleans_come_in_any_letter_case(text: str, value: bool) -> None:
    assert one("Flag", text) is value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("Small", "0", 0),
        ("Big", "18446744073709551615", 2**64 - 1),
        ("Signed", "-2147483648", -(2**31)),
        ("Signed", " 7\n", 7),
        ("Letter", "65", 65),
        ("Real", "1.5E0", 1.5),
        ("Real", "-2.5e-3", -0.0025),
        ("Real", "3", 3.0),
    ],
)
def test_numbers_are_numbers(name: str, text: str, value: float) -> None:
    assert one(name, text) == value


@pytest.mark.parametrize("text", ["INF", "-INF", "NaN", "1e999"])
def test_a_real_that_json_cannot_carry_stays_text(text: str) -> None:
    assert one("Real", text) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Flag", "yes"),
        ("Flag", ""),
        ("Small", ""),
        ("Small", "1.0"),
        ("Small", "0x10"),
        ("Small", "1_000"),
        ("Small", "\u0663"),
        ("Big", "9" * 5000),
        ("Real", "one"),
        ("Real", "1_0"),
        ("Real", ""),
        ("When", "yesterday"),
        ("When", "<cim:Datetime>2024-13-01T00:00:00Z</cim:Datetime>"),
        ("When", "<cim:Interval>soon</cim:Interval>"),
        ("When", "20241301000000.000000+000"),
        ("Owner", "text"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(WireError, match=f"Test_Thing.{name} "):
        one(name, text)


def test_a_scalar_that_came_twice_is_refused() -> None:
    with pytest.raises(WireError, match=r"Test_Thing.Text came 2 times"):
        one("Text", "a", "b")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-03-01T10:20:30Z", "2024-03-01T10:20:30Z"),
        ("2024-03-01T10:20:30.5Z", "2024-03-01T10:20:30.500000Z"),
        ("2024-03-01T10:20:30.Z", "2024-03-01T10:20:30Z"),
        ("2024-03-01T10:20:30.1234567Z", "2024-03-01T10:20:30.123456Z"),
        ("2024-03-01T10:20:30+08:00", "2024-03-01T02:20:30Z"),
        ("2024-02-29T20:20:30.25-07:00", "2024-03-01T03:20:30.250000Z"),
        ("2024-03-01T10:20:30", "2024-03-01T10:20:30"),
        ("20240301102030.000000+060", "2024-03-01T09:20:30Z"),
        ("20240301102030.250000-420", "2024-03-01T17:20:30.250000Z"),
        ("20240301******.******+***", "20240301******.******+***"),
        ("", ""),
    ],
)
def test_a_time_is_told_in_utc_and_one_without_a_zone_as_it_came(text: str, value: str) -> None:
    assert when(text) == value


def test_a_time_in_the_old_form_comes_without_an_element_of_its_own() -> None:
    assert one("When", "20240301102030.000000+000") == "2024-03-01T10:20:30Z"


@pytest.mark.parametrize("text", ["P0DT0H1M40S", "PT1M40.5S", "P1D", "00000001020304.000000:000"])
def test_an_interval_stays_as_windows_wrote_it(text: str) -> None:
    assert one("When", f"<cim:Interval>{text}</cim:Interval>") == text


def test_a_wildcard_time_of_the_dmtf_stays_text() -> None:
    assert one("When", "<cim:CIM_DateTime>2024****00****.000000+000</cim:CIM_DateTime>") == "2024****00****.000000+000"


def test_a_documented_number_becomes_its_name_and_an_unknown_one_stays_a_number() -> None:
    assert one("State", "2") == "Enabled"
    assert one("State", "32769") == 32769
    assert one("States", "3", "9") == ["Disabled", 9]


REFERENCE = (
    "<a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address><a:ReferenceParameters>"
    "<w:ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/wmi/root/test/Test_Owner</w:ResourceURI>"
    "<w:SelectorSet>{}</w:SelectorSet></a:ReferenceParameters>"
)


def test_a_reference_becomes_class_and_keys() -> None:
    keys = '<w:Selector Name="Domain">AZL1</w:Selector><w:Selector Name="Name">ops team</w:Selector>'
    assert one("Owner", REFERENCE.format(keys)) == {
        "class": "Test_Owner",
        "keys": {"Domain": "AZL1", "Name": "ops team"},
    }


def test_a_key_may_itself_be_a_reference() -> None:
    inner = REFERENCE.format('<w:Selector Name="Id">7</w:Selector>')
    outer = REFERENCE.format(f'<w:Selector Name="Part"><a:EndpointReference>{inner}</a:EndpointReference></w:Selector>')
    assert one("Owner", outer) == {
        "class": "Test_Owner",
        "keys": {"Part": {"class": "Test_Owner", "keys": {"Id": "7"}}},
    }


def test_a_reference_without_keys_has_none() -> None:
    whole = REFERENCE.format("").replace("<w:SelectorSet></w:SelectorSet>", "")
    assert one("Owner", whole) == {"class": "Test_Owner", "keys": {}}


def test_a_reference_that_the_table_does_not_know_is_one_all_the_same() -> None:
    assert one("Nearby", REFERENCE.format('<w:Selector Name="Id">7</w:Selector>')) == {
        "class": "Test_Owner",
        "keys": {"Id": "7"},
    }


def test_an_embedded_instance_is_typed_by_its_own_class() -> None:
    assert row('<p:Part xsi:type="q:Test_Part_Type"><q:Size xmlns:q="urn:part">5</q:Size></p:Part>') == {
        "Part": {"class": "Test_Part", "properties": {"Size": 5, "Labels": None}}
    }


def test_an_embedded_instance_that_does_not_name_its_class_is_the_one_of_the_table() -> None:
    assert one("Part", "<p:size>5</p:size><p:Labels>a</p:Labels>") == {
        "class": "Test_Part",
        "properties": {"Size": 5, "Labels": ["a"]},
    }


def test_embedded_instances_come_in_arrays() -> None:
    assert one("Parts", "<p:Size>1</p:Size>") == [{"class": "Test_Part", "properties": {"Size": 1, "Labels": None}}]


def test_an_embedded_instance_of_an_unknown_class_keeps_texts_and_structure() -> None:
    inner = (
        '<q:Other xmlns:q="urn:x">5</q:Other><q:Many xmlns:q="urn:x">a</q:Many><q:Many xmlns:q="urn:x">b</q:Many>'
        '<q:At xmlns:q="urn:x"><cim:Datetime>2024-03-01T10:20:30+01:00</cim:Datetime></q:At>'
    )
    assert row(f'<p:Part xsi:type="q:Test_New_Type">{inner}</p:Part>') == {
        "Part": {
            "class": "Test_New",
            "properties": {"Other": "5", "Many": ["a", "b"], "At": "2024-03-01T09:20:30Z"},
        }
    }


def test_an_embedded_instance_written_as_text_stays_text() -> None:
    assert one("Part", "&lt;INSTANCE CLASSNAME=&quot;X&quot;/&gt;") == '<INSTANCE CLASSNAME="X"/>'


def test_a_structure_in_a_property_that_the_table_calls_a_string_is_kept() -> None:
    assert one("Text", "<cim:Datetime>2024-03-01T10:20:30Z</cim:Datetime>") == "2024-03-01T10:20:30Z"


def test_a_fragment_has_no_namespaces_and_decodes_as_the_instance_does() -> None:
    content = "<Big>5</Big><When><Datetime>2024-03-01T10:20:30Z</Datetime></When><Texts>a</Texts>"
    expected = {"Big": 5, "When": "2024-03-01T10:20:30Z", "Texts": ["a"]}
    assert decoder("Big", "When", "Texts").item(element(f"<w:XmlFragment>{content}</w:XmlFragment>")) == expected


def test_a_derived_class_has_its_own_name_and_the_properties_of_its_base() -> None:
    content = "<q:Big>5</q:Big><q:Own>x</q:Own>"
    derived = f'<q:Test_Special xmlns:q="urn:q" xsi:type="q:Test_Special_Type">{content}</q:Test_Special>'
    assert decoder().item(element(derived)) == {"Big": 5, "Own": "x", **dict.fromkeys(ARRAYS)}


def test_a_known_derived_class_has_the_arrays_of_its_base_too() -> None:
    found = decoder().item(element("<p:Test_Part><p:Size>1</p:Size></p:Test_Part>"))
    assert found == {"Size": 1, "Labels": None, **dict.fromkeys(ARRAYS)}


def test_the_address_that_old_versions_append_is_no_property() -> None:
    assert row(f"<p:Big>5</p:Big><cim:Location>{REFERENCE.format('')}</cim:Location>") == {"Big": 5}


def test_a_property_that_is_called_location_is_one() -> None:
    assert row("<p:Location>Rack 4</p:Location>") == {"Location": "Rack 4"}


def test_a_property_in_another_letter_case_gets_the_spelling_of_the_table() -> None:
    assert row("<p:BIG>5</p:BIG><p:texts>a</p:texts>") == {"Big": 5, "Texts": ["a"]}


def test_one_property_in_two_letter_cases_is_one_property() -> None:
    assert row("<p:Texts>a</p:Texts><p:texts>b</p:texts>") == {"Texts": ["a", "b"]}


def test_an_unknown_property_is_kept_as_text() -> None:
    assert row("<p:New>5</p:New><p:Newer>a</p:Newer><p:Newer>b</p:Newer>") == {"New": "5", "Newer": ["a", "b"]}


def test_a_class_that_the_table_does_not_hold_is_all_text() -> None:
    found = Decoder(table(), NAMESPACE, "Test_Nothing", None).item(
        element("<p:Test_Nothing><p:A>5</p:A></p:Test_Nothing>")
    )
    assert found == {"A": "5"}


# Any XML at all

NAMES = st.sampled_from(
    [*PROPERTIES, "Unknown", "XmlFragment", "Location", "Datetime", "Interval", "EndpointReference"]
)
SCRAPS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12) | st.sampled_from(
    [
        "true",
        "5",
        "-1",
        "1e9",
        "2024-03-01T10:20:30Z",
        "0001-01-01T00:00:00+14:00",
        "P1D",
        "9" * 25,
        "99999999999999.000000+999",
    ]
)
PREFIXES = st.sampled_from(["", "p:", "cim:", "a:", "w:"])
ATTRIBUTES = st.sampled_from(
    ["", ' xsi:nil="true"', ' xsi:type="p:Test_Part_Type"', ' xsi:type=""', ' Name="Key"', ' xsi:nil="?"']
)
TAGS = st.builds(
    "{}{}".format, PREFIXES, NAMES | st.sampled_from(["ReferenceParameters", "ResourceURI", "SelectorSet", "Selector"])
)


def _tagged(tag: str, attributes: str, content: str) -> str:
    return f"<{tag}{attributes}>{content}</{tag}>"


TREES = st.recursive(
    st.builds(_tagged, TAGS, ATTRIBUTES, SCRAPS.map(escape)),
    lambda inner: st.builds(_tagged, TAGS, ATTRIBUTES, st.lists(inner, max_size=4).map("".join)),
    max_leaves=12,
)


@given(st.lists(TREES, max_size=6), st.sampled_from(["p:Test_Thing", "w:XmlFragment", "p:Test_Special", "p:Test_Part"]))
@example(["<p:When><cim:Datetime>0001-01-01T00:00:00+14:00</cim:Datetime></p:When>"], "p:Test_Thing")
def test_whatever_comes_is_a_row_or_a_wire_error(trees: list[str], tag: str) -> None:
    with contextlib.suppress(WireError):
        found = decoder().item(element(f"<{tag}>{''.join(trees)}</{tag}>"))
        assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("inner", ["p:Part", "p:Unknown", "a:EndpointReference"])
def test_a_tree_without_end_is_refused_before_it_is_decoded(inner: str) -> None:
    text = f"<{inner}>" * 20_000 + f"</{inner}>" * 20_000
    with pytest.raises(WireError, match="inside each other"):
        parse(f"<p:Test_Thing {NAMESPACES}>{text}</p:Test_Thing>".encode())


# Round trips

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"))


@given(TEXTS, st.lists(TEXTS, min_size=1))
def test_texts_come_back_as_they_were(text: str, texts: list[str]) -> None:
    assert one("Text", escape(text)) == text
    assert one("Texts", *map(escape, texts)) == texts


@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 2**16 - 1), min_size=1), st.booleans())
def test_numbers_and_booleans_come_back_as_they_were(big: int, numbers: list[int], flag: bool) -> None:
    assert one("Big", str(big)) == big
    assert one("Numbers", *map(str, numbers)) == numbers
    assert one("Flag", str(flag)) is flag


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_reals_come_back_as_they_were(number: float) -> None:
    assert math.isclose(one("Real", f"{number:.17E}"), number, rel_tol=0)


@given(
    st.datetimes(datetime.datetime(1601, 1, 2), datetime.datetime(9999, 1, 1)),  # noqa: DTZ001 - a zone follows
    st.integers(-14 * 60, 14 * 60),
)
def test_times_come_back_as_the_same_moment(naive: datetime.datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=datetime.timezone(datetime.timedelta(minutes=minutes)))
    sign = "-" if minutes < 0 else "+"
    dmtf = f"{naive:%Y%m%d%H%M%S}.{naive.microsecond:06}{sign}{abs(minutes):03}"
    for text in (moment.isoformat(), dmtf):
        assert datetime.datetime.fromisoformat(when(text)) == moment
