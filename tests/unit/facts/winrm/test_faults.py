"""Faults: three shapes, many numbers, any language; one status, one meaning and the node's own sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.faults import Fault, fault_of
from unit.facts.winrm.support import body, fault

STATUS = {
    **dict.fromkeys((2150858752, 2150858778, 2150858811, 2147942402), Status.NOT_PRESENT),
    **dict.fromkeys((2147749890, 2147749902, 2147749904), Status.NOT_PRESENT),
    **dict.fromkeys((5, 2147942405, 2150858815, 2150859012, 2150859013, 2150859014, 2147749891), Status.REFUSED),
    **dict.fromkeys((2150859173, 2150859174, 2150859175, 2150859176, 2150859179, 2150859180), Status.REFUSED),
    **dict.fromkeys(range(2150859236, 2150859243), Status.REFUSED),
    **dict.fromkeys((2150858793, 2147749993), Status.TIMED_OUT),
    **dict.fromkeys((87, 1018, 2147942606, 2150858753, 2150858755, 2150858767, 2150858790), Status.FAILED),
    **dict.fromkeys((2150858823, 2150858824, 2150858825, 2150858817, 2150858843, 2150858884), Status.FAILED),
    **dict.fromkeys((2150858906, 2150859002, 2150859003, 2150859010, 2150859011, 2150859016), Status.FAILED),
    **dict.fromkeys((2150859038, 2150859042, 2150859181, 2147749889, 2147749907, 2147749911), Status.FAILED),
}
FAULT = "<s:Fault><s:Code><s:Subcode><s:Value>{0}</s:Value></s:Subcode></s:Code>{1}<s:Detail>{2}</s:Detail></s:Fault>"
REASON = '<s:Reason><s:Text xml:lang="en-US">The reason.</s:Text></s:Reason>'


def read(content: str) -> Fault:
    found = fault_of(body(content))
    assert found is not None
    return found


def nested(inner: str, *, outer: int = 2150858755, extended: str = "") -> Fault:
    """A fault whose provider tells its own."""
    provider = f'<f:ProviderFault provider="P" path="C:\\p.dll">{inner}{extended}</f:ProviderFault>'
    return read(
        FAULT.format(
            "w:InternalError", REASON, f'<f:WSManFault Code="{outer}"><f:Message>{provider}</f:Message></f:WSManFault>'
        )
    )


def inner(code: int | str, message: str = "Inside.") -> str:
    return f'<f:WSManFault Code="{code}" Machine="azl1"><f:Message>{message}</f:Message></f:WSManFault>'


def extended(status: str = "", parameter: str = "select Name from Some_Class") -> str:
    return (
        "<f:ExtendedError><p:__ExtendedStatus><p:Description xsi:nil='true'/><p:Operation>ExecQuery</p:Operation>"
        f"<p:ParameterInfo>{parameter}</p:ParameterInfo><p:ProviderName>WinMgmt</p:ProviderName>"
        f"<p:StatusCode>{status}</p:StatusCode></p:__ExtendedStatus></f:ExtendedError>"
    )


def wmi_error(code: str) -> str:
    return (
        '<p:MSFT_WmiError xsi:type="p:MSFT_WmiError_Type"><p:CIMStatusCode>27</p:CIMStatusCode>'
        "<p:Message>Of WMI.</p:Message><p:MessageID>HRESULT 0x803381a6</p:MessageID>"
        f"<p:error_Code>{code}</p:error_Code><p:error_WindowsErrorMessage>Of WMI.</p:error_WindowsErrorMessage>"
        "</p:MSFT_WmiError>"
    )


@pytest.mark.parametrize("code", sorted(STATUS))
def test_every_known_number_has_its_status_and_a_meaning(code: int) -> None:
    found = read(fault(code))
    assert (found.code, found.status) == (code, STATUS[code])
    assert not found.reason.startswith("the node reported a fault")
    assert f"{code}, 0x{code:08X}" in found.reason
    assert not found.fatal


@pytest.mark.parametrize("code", sorted(STATUS))
def test_the_shape_of_a_fault_makes_no_difference(code: int) -> None:
    plain, as_wmi = read(fault(code)), read(FAULT.format("w:InternalError", REASON, wmi_error(str(code))))
    within = nested(inner(code), outer=1)
    assert plain.status is as_wmi.status is within.status
    assert plain.code == as_wmi.code == within.code == code


def test_an_answer_that_is_no_fault_is_none() -> None:
    assert fault_of(body("<p:Something/>")) is None


def test_the_innermost_number_tells_most() -> None:
    assert nested(inner(2150859013), outer=2150858755).code == 2150859013
    assert nested(inner(2150858778), extended=extended("2147749904")).code == 2147749904


def test_an_inner_number_that_nobody_knows_does_not_hide_a_known_one() -> None:
    assert nested(inner(2150859013), extended=extended("77")).code == 2150859013


def test_a_failure_without_a_reason_does_not_hide_a_telling_number() -> None:
    assert nested(inner(2150859013), extended=extended("2147749889")).code == 2150859013
    assert nested(inner(1), outer=1, extended=extended("2147749889")).code == 2147749889


def test_a_number_may_be_written_with_a_sign() -> None:
    assert read(FAULT.format("w:X", REASON, wmi_error(str(2150859174 - 2**32)))).code == 2150859174


@pytest.mark.parametrize("text", ["", "--5", "0x5", "five", "\u0665", "9" * 5000])
def test_a_number_that_is_none_is_passed_over(text: str) -> None:
    found = nested(inner(text), outer=2150859013)
    assert found.code == 2150859013


def test_an_unknown_number_is_told_with_the_words_of_the_node() -> None:
    found = read(fault(2152992672, "Odd."))
    assert found.status is Status.FAILED
    assert "2152992672" in found.reason
    assert found.reason.endswith("the node says: Odd.")


@pytest.mark.parametrize(
    ("subcode", "status"),
    [
        ("w:TimedOut", Status.TIMED_OUT),
        ("wsman:AccessDenied", Status.REFUSED),
        ("w:QuotaLimit", Status.REFUSED),
        ("a:DestinationUnreachable", Status.NOT_PRESENT),
        ("w:InternalError", Status.FAILED),
        ("", Status.FAILED),
    ],
)
def test_a_fault_without_a_number_goes_by_its_subcode(subcode: str, status: Status) -> None:
    found = read(f"<s:Fault><s:Code><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>{REASON}</s:Fault>")
    assert (found.status, found.code, found.text) == (status, 0, "The reason.")
    assert f"({subcode.partition(':')[2] or 'no code'})" in found.reason


def test_the_detail_of_the_standard_is_told_where_there_is_no_number() -> None:
    uri = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/InsufficientSelectors"
    found = read(FAULT.format("w:InvalidSelectors", REASON, f"<w:FaultDetail>{uri}</w:FaultDetail>"))
    assert "(InsufficientSelectors)" in found.reason


def test_an_empty_fault_is_a_fault() -> None:
    found = read("<s:Fault/>")
    assert (found.status, found.code, found.subcode, found.text) == (Status.FAILED, 0, "", "")
    assert found.reason == "the node reported a fault (no code)"


# The words of the node


def test_the_words_are_the_sentence_of_the_innermost_message_alone() -> None:
    sentence = "The CIM namespace root/Nothing is invalid."
    assert nested(inner(2150858778, f"{sentence} "), extended=extended()).text == sentence


def test_the_words_of_a_provider_that_nests_nothing_are_its_own() -> None:
    assert nested("Nothing by that name.").text == "Nothing by that name."


def test_the_words_of_an_outer_fault_stand_in_for_an_inner_one_without_any() -> None:
    assert nested(inner(5, "")).text == "The reason."


def test_the_words_of_wmi_are_taken_where_there_is_no_message() -> None:
    assert read(FAULT.format("w:X", REASON, wmi_error("5"))).text == "Of WMI."


@pytest.mark.parametrize("text", ["Der Zugriff wurde verweigert.", "アクセスが拒否されました。", "Acceso denegado."])
def test_the_language_of_the_node_changes_the_words_and_nothing_else(text: str) -> None:
    found = read(fault(2150859013, text))
    assert (found.text, found.status, found.code) == (text, Status.REFUSED, 2150859013)


def test_line_breaks_and_blanks_become_one_blank() -> None:
    assert read(fault(5, "\n  One \t line.\n  Another. ")).text == "One line. Another."


def test_control_characters_do_not_reach_anybody() -> None:
    assert read(fault(5, "a\u009b31mb\u202ec\u200bd")).text == "a 31mb c d"


def test_the_words_are_bounded() -> None:
    found = read(fault(5, "word " * 10_000))
    assert len(found.text) == 300
    assert found.text.endswith("…")
    assert len(read(fault(5, "x", subcode="w:" + "X" * 100_000)).subcode) == 60


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="<&\ufffe\uffff"))


@given(TEXTS.map(lambda text: text.replace('"', "")), TEXTS, TEXTS, TEXTS)
def test_whatever_a_fault_says_it_has_a_status_and_a_bounded_reason(
    code: str, message: str, sub: str, uri: str
) -> None:
    content = f'<f:WSManFault Code="{code}"><f:Message>{message}</f:Message></f:WSManFault>'
    found = read(FAULT.format(sub, "", f"<w:FaultDetail>{uri}</w:FaultDetail>{content}"))
    assert found.status in Status
    assert len(found.reason) < 600
    assert found.reason.isprintable()
