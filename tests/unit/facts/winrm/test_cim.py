"""Enumerations page by page, reading methods, the configuration of the service."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from azpreflight.facts.classes import Property
from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.query import CimQuery
from azpreflight.facts.winrm import cim
from azpreflight.facts.winrm.faults import Fault
from unit.facts.winrm.support import NAMESPACE, Node, Sent, element, fault, table

TABLE = table(Id=Property(type="uint32"), Names=Property(type="string", array=True))
QUERY = CimQuery(namespace=NAMESPACE, class_="Test_Thing", properties=("Id", "Names"))


def thing(number: int | str) -> str:
    return f"<w:XmlFragment><Id>{number}</Id></w:XmlFragment>"


def page(items: str = "", context: str | None = None, *, first: bool = False, end: str = "") -> str:
    """An answer to Enumerate (`first`) or to Pull."""
    name = "EnumerateResponse" if first else "PullResponse"
    mark = f"<n:EnumerationContext>{context}</n:EnumerationContext>" if context is not None else ""
    prefix = "w" if first else "n"
    return f"<n:{name}>{mark}<{prefix}:Items>{items}</{prefix}:Items>{end}</n:{name}>"


def playing(*answers: str | Callable[[Sent], str]) -> Node:
    """A node that gives these answers in turn, and an empty one to every Release."""
    left: Iterator[str | Callable[[Sent], str]] = iter(answers)

    def answer(sent: Sent) -> str:
        if sent.operation == "Release":
            return ""
        found = next(left)
        return found if isinstance(found, str) else found(sent)

    return Node(answer)


def operations(node: Node) -> list[str]:
    return [sent.operation for sent in node.sent]


def rows(node: Node, where: str | None = None) -> list[int]:
    return [row["Id"] for row in cim.rows(node, TABLE, QUERY, where, Deadline(5))]


@pytest.mark.parametrize("end", ["<w:EndOfSequence/>", "<n:EndOfSequence/>"])
@pytest.mark.parametrize("context", ["", None, "uuid:left"])
def test_one_answer_that_ends_is_all(end: str, context: str | None) -> None:
    node = playing(page(thing(1), context, first=True, end=end))
    assert rows(node) == [1]
    assert operations(node) == ["Enumerate"]


@pytest.mark.parametrize("context", ["", None])
def test_an_answer_without_a_context_is_the_last_even_without_a_mark(context: str | None) -> None:
    assert rows(playing(page(thing(1), context, first=True))) == [1]


def test_each_pull_sends_the_context_of_the_answer_before() -> None:
    node = playing(
        page(thing(1), "uuid:a&amp;b", first=True),
        page(thing(2) + thing(3), "uuid:c"),
        page("", "uuid:d"),
        page(thing(4), end="<n:EndOfSequence/>"),
    )
    assert rows(node) == [1, 2, 3, 4]
    assert operations(node) == ["Enumerate", "Pull", "Pull", "Pull"]
    contexts = ["uuid:a&amp;b", "uuid:c", "uuid:d"]
    for sent, context in zip(node.sent[1:], contexts, strict=True):
        assert f"<n:EnumerationContext>{context}</n:EnumerationContext>" in sent.body
    assert {sent.uri for sent in node.sent} == {f"http://schemas.microsoft.com/wbem/wsman/1/wmi/{NAMESPACE}/*"}


def test_no_instance_at_all_is_an_empty_answer() -> None:
    assert rows(playing("<n:EnumerateResponse><n:EnumerationContext/><w:EndOfSequence/></n:EnumerateResponse>")) == []


def test_a_fault_in_the_middle_releases_what_is_open() -> None:
    node = playing(page(thing(1), "uuid:a", first=True), fault(2150858793, subcode="w:TimedOut"))
    with pytest.raises(Fault) as error:
        rows(node)
    assert error.value.status is Status.TIMED_OUT
    assert operations(node) == ["Enumerate", "Pull", "Release"]


def test_an_item_that_does_not_decode_releases_what_is_open() -> None:
    node = playing(page(thing("x"), "uuid:a", first=True))
    with pytest.raises(WireError, match=r"Test_Thing\.Id is no integer"):
        rows(node)
    assert operations(node) == ["Enumerate", "Release"]


def test_a_release_that_fails_does_not_hide_the_error_before() -> None:
    def answer(sent: Sent) -> str:
        return {"Enumerate": page(thing(1), "uuid:a", first=True), "Pull": fault(2150858884)}.get(
            sent.operation, fault(2150858811)
        )

    with pytest.raises(Fault) as error:
        rows(Node(answer))
    assert error.value.code == 2150858884


def test_an_enumeration_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cim, "MAX_ITEMS", 50)
    numbers = itertools.count()
    node = Node(
        lambda sent: (
            ""
            if sent.operation == "Release"
            else page(thing(1), f"c{next(numbers)}", first=sent.operation == "Enumerate")
        )
    )
    with pytest.raises(WireError, match="more than 50 items"):
        rows(node)
    assert operations(node)[-1] == "Release"


@pytest.mark.parametrize("answer", ["", "<n:PullResponse/>", "<p:Nonsense/>"])
def test_an_answer_of_another_kind_is_refused(answer: str) -> None:
    with pytest.raises(WireError, match="holds no EnumerateResponse"):
        rows(playing(answer))


def test_a_query_names_its_columns_and_its_condition() -> None:
    node = playing(page(first=True))
    rows(node, "Name='a<b' AND Id>=3")
    assert "select Id,Names from Test_Thing where Name='a&lt;b' AND Id&gt;=3</w:Filter>" in node.sent[0].body
    everything = CimQuery(namespace=NAMESPACE, class_="Test_Thing", properties="all")
    assert cim.wql(everything, None) == "select * from Test_Thing"


@pytest.mark.parametrize(("text", "quoted"), [("plain", "plain"), ("O'Brien", "O\\'Brien"), ('a"b\\c', 'a\\"b\\\\c')])
def test_quotes_and_backslashes_are_escaped(text: str, quoted: str) -> None:
    assert cim.quote(text) == quoted


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("StdRegProv", "SetDWORDValue"),
        ("StdRegProv", "DeleteKey"),
        ("Win32_Process", "Create"),
        ("StdRegProv", "x/EnumKey"),
    ],
)
def test_a_method_that_is_not_known_to_read_is_never_sent(name: str, method: str) -> None:
    node = playing()
    with pytest.raises(ValueError, match="reading methods"):
        cim.invoke(node, "root/cimv2", name, method, "", Deadline(5))
    assert node.sent == []


def test_only_methods_that_get_or_enumerate_are_on_the_list() -> None:
    assert all(method.startswith(("get", "enum")) for _, method in cim.READING_METHODS)


def test_a_method_is_asked_at_its_class() -> None:
    node = playing("<p:EnumKey_OUTPUT><p:ReturnValue>0</p:ReturnValue></p:EnumKey_OUTPUT>")
    output = cim.invoke(node, "root/cimv2", "StdRegProv", "EnumKey", "<m:x/>", Deadline(5))
    assert [found.text for found in output] == ["0"]
    uri = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/StdRegProv"
    assert (node.sent[0].uri, node.sent[0].action) == (uri, f"{uri}/EnumKey")
    assert node.sent[0].body == f'<m:EnumKey_INPUT xmlns:m="{uri}"><m:x/></m:EnumKey_INPUT>'


def test_a_method_without_output_is_an_error() -> None:
    with pytest.raises(WireError, match="holds no output"):
        cim.invoke(playing("<p:Other/>"), "root/cimv2", "StdRegProv", "EnumKey", "", Deadline(5))


def test_the_configuration_is_nested_values() -> None:
    answer = (
        "<p:Config><p:MaxEnvelopeSizekb>500</p:MaxEnvelopeSizekb><p:Client><p:TrustedHosts></p:TrustedHosts>"
        "<p:Auth><p:Basic>true</p:Basic></p:Auth></p:Client><p:Thumb>1234567890123456789012</p:Thumb></p:Config>"
    )
    assert cim.config(playing(answer), Deadline(5)) == {
        "MaxEnvelopeSizekb": 500,
        "Client": {"TrustedHosts": "", "Auth": {"Basic": True}},
        "Thumb": "1234567890123456789012",
    }


def test_an_answer_without_a_configuration_is_an_error() -> None:
    with pytest.raises(WireError, match="no Config"):
        cim.config(playing("<p:Other/>"), Deadline(5))


def test_listeners_are_rows_with_all_their_addresses() -> None:
    listener = (
        "<p:Listener><p:Address>*</p:Address><p:Transport>HTTPS</p:Transport><p:Port>5986</p:Port>"
        "<p:Enabled>true</p:Enabled><p:ListeningOn>192.0.2.11</p:ListeningOn></p:Listener>"
    )
    node = playing(page(listener, first=True, end="<w:EndOfSequence/>"))
    assert cim.listeners(node, Deadline(5)) == [
        {"Address": "*", "Transport": "HTTPS", "Port": 5986, "Enabled": True, "ListeningOn": ["192.0.2.11"]}
    ]
    assert "Filter" not in node.sent[0].body


def test_items_are_those_of_the_page_alone() -> None:
    assert list(cim._items(element("<n:PullResponse/>"))) == []
