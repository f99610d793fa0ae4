"""The shell: opened once, closed on every path, its output joined however it is cut."""

from __future__ import annotations

import base64
import itertools
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azpreflight.facts.deadline import Deadline
from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm import shell as module
from azpreflight.facts.winrm.faults import Fault
from azpreflight.facts.winrm.session import Session
from azpreflight.facts.winrm.shell import Output, open_shell
from unit.facts.winrm.support import Node, Sent, fault

STATE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState"
CREATED = "<rsp:Shell><rsp:ShellId>SHELL-1</rsp:ShellId></rsp:Shell>"
COMMAND = "<rsp:CommandResponse><rsp:CommandId>COMMAND-1</rsp:CommandId></rsp:CommandResponse>"


class Windows(Node):
    """A node that runs commands; it also stands for the session, which can be revived."""

    def __init__(self, *receives: str, **instead: str) -> None:
        self.receives = list(receives)
        self.instead = instead
        self.revived = 0
        super().__init__(self.play)

    def revive(self) -> None:
        self.revived += 1

    @property
    def operations(self) -> list[str]:
        return [sent.operation for sent in self.sent]

    def play(self, sent: Sent) -> str:
        if sent.operation in self.instead:
            return self.instead[sent.operation]
        match sent.operation:
            case "Create":
                return CREATED
            case "Command":
                return COMMAND
            case "Receive":
                return self.receives.pop(0)
        return ""


def stream(name: str, data: bytes) -> str:
    return f'<rsp:Stream Name="{name}" CommandId="COMMAND-1">{base64.b64encode(data).decode()}</rsp:Stream>'


def received(*streams: str, code: int | str | None = None) -> str:
    """An answer to Receive: with an exit code it is the last."""
    state = "Running" if code is None else "Done"
    exit_code = f"<rsp:ExitCode>{code}</rsp:ExitCode>" if code is not None else ""
    end = f'<rsp:CommandState CommandId="COMMAND-1" State="{STATE}/{state}">{exit_code}</rsp:CommandState>'
    return f"<rsp:ReceiveResponse>{''.join(streams)}{end}</rsp:ReceiveResponse>"


def run(node: Windows, *, stdin: bytes | None = None, deadline: Deadline | None = None) -> Output:
    with open_shell(cast("Session", node), Deadline(5)) as shell:
        return shell.run("a & b <c>", deadline or Deadline(5), stdin)


def test_a_command_runs_in_a_shell_of_its_own_that_is_deleted() -> None:
    node = Windows(received(stream("stdout", b"out"), stream("stderr", b"err"), code=3))
    assert run(node) == Output("out", "err", 3)
    assert node.operations == ["Create", "Command", "Receive", "Delete"]
    assert node.sent[0].options == {"WINRS_NOPROFILE": "TRUE", "WINRS_CODEPAGE": "65001"}
    assert "<rsp:Command>a &amp; b &lt;c&gt;</rsp:Command>" in node.sent[1].body
    assert [sent.selectors for sent in node.sent[1:]] == [{"ShellId": "SHELL-1"}] * 3


def test_standard_input_is_sent_once_with_its_end() -> None:
    node = Windows(received(code=0))
    run(node, stdin=b"list\0\xff")
    (sent,) = (sent for sent in node.sent if sent.operation == "Send")
    assert 'End="true"' in sent.body
    assert base64.b64encode(b"list\0\xff").decode() in sent.body


@given(st.text(), st.lists(st.integers(0, 50), max_size=8))
def test_output_may_be_cut_anywhere(text: str, cuts: list[int]) -> None:
    data = text.encode(errors="surrogatepass")
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[start:end] for start, end in itertools.pairwise(places)]
    node = Windows(*(received(stream("stdout", piece)) for piece in pieces), received(code=0))
    assert run(node).stdout == data.decode("utf-8", "replace").replace("\0", "\ufffd")


def test_nothing_new_yet_is_no_error() -> None:
    node = Windows(fault(2150858793, subcode="w:TimedOut"), received(stream("stdout", b"late"), code=0))
    assert run(node).stdout == "late"


def test_streams_of_other_names_are_passed_over() -> None:
    assert run(Windows(received(stream("pr", b"x"), code=0))) == Output("", "", 0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("-1073741819", -1073741819),
        ("0", 0),
        ("4294967295", 4294967295),
        ("", -1),
        ("--1", -1),
        ("x", -1),
        ("9" * 5000, -1),
    ],
)
def test_exit_codes_have_signs_and_what_is_none_is_minus_one(text: str, code: int) -> None:
    assert run(Windows(received(code=text))).exit_code == code


@pytest.mark.parametrize("text", ["!", "YQ", "Größe", "YQ==YQ=="])
def test_a_stream_that_is_no_base64_is_an_error_and_the_command_is_ended(text: str) -> None:
    node = Windows(received(f'<rsp:Stream Name="stdout">{text}</rsp:Stream>', code=0))
    with pytest.raises(WireError, match="base64"):
        run(node)
    assert node.operations[-2:] == ["Signal", "Delete"]


def test_base64_may_be_broken_over_lines() -> None:
    assert run(Windows(received('<rsp:Stream Name="stdout">\n YW\n Jj \n</rsp:Stream>', code=0))).stdout == "abc"


def test_output_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OUTPUT", 10)
    node = Windows(*[received(stream("stdout", b"123456"))] * 3)
    with pytest.raises(WireError, match="wrote more than"):
        run(node)
    assert node.operations[-2:] == ["Signal", "Delete"]


def test_a_command_that_does_not_end_is_terminated() -> None:
    node = Windows()
    with pytest.raises(WireError) as error:
        run(node, deadline=Deadline(0))
    assert error.value.status is Status.TIMED_OUT
    assert node.operations == ["Create", "Command", "Signal", "Delete"]
    assert "signal/terminate" in node.sent[2].body


@pytest.mark.parametrize("answer", ["<rsp:Shell/>", "<p:Nonsense/>", ""])
def test_a_shell_without_an_id_is_an_error(answer: str) -> None:
    with pytest.raises(WireError, match="names no shell"):
        run(Windows(Create=answer))


def test_an_old_answer_names_the_shell_in_a_selector() -> None:
    created = (
        "<p:ResourceCreated><a:ReferenceParameters><w:SelectorSet>"
        '<w:Selector Name="ShellId">SHELL-1</w:Selector></w:SelectorSet></a:ReferenceParameters></p:ResourceCreated>'
    )
    node = Windows(received(code=0), Create=created)
    run(node)
    assert node.sent[1].selectors == {"ShellId": "SHELL-1"}


def test_a_command_without_an_id_is_an_error_and_the_shell_is_deleted() -> None:
    node = Windows(Command="<rsp:CommandResponse/>")
    with pytest.raises(WireError, match="names no command"):
        run(node)
    assert node.operations == ["Create", "Command", "Delete"]


def test_a_node_that_allows_no_shells_says_so() -> None:
    with pytest.raises(Fault) as error:
        run(Windows(Create=fault(2150859180)))
    assert error.value.status is Status.REFUSED


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_whatever_ends_the_block_the_shell_is_deleted(error: type[BaseException]) -> None:
    node = Windows()
    with pytest.raises(error), open_shell(cast("Session", node), Deadline(5)):
        raise error
    assert node.operations == ["Create", "Delete"]
    assert node.revived == 1


def test_a_delete_that_fails_hides_nothing() -> None:
    node = Windows(received(stream("stdout", b"x"), code=0), Delete=fault(2150858843))
    assert run(node).stdout == "x"


def test_each_receive_comes_back_soon_and_is_listened_for_longer() -> None:
    node = Windows(received(code=0))
    run(node, deadline=Deadline(1000))
    (receive,) = (sent for sent in node.sent if sent.operation == "Receive")
    assert receive.seconds == module.POLL_SECONDS
    assert receive.deadline.remaining > 2 * module.POLL_SECONDS
