"""The fixed list of programs: what it lets through only reads, and a chain of commands comes apart again."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.query import ProgramQuery, RegistryQuery
from azpreflight.facts.winrm.dialect import CURRENT
from azpreflight.facts.winrm.programs import LINE_LIMIT, PROGRAMS, chains, line_of, parse, program, unchain

ALLOWED = [
    ("reg.exe", 'query "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion" /reg:64'),
    ("reg.exe", 'query "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters" /s /reg:64'),
    ("reg.exe", 'query "HKU\\S-1-5-18\\Software\\{A-1} (x) [y]" /reg:64'),
    ("curl.exe", CURRENT.arguments),
    ("curl.exe", "-q -sS -K -"),
    ("curl.exe", "--version"),
    ("whoami.exe", "/groups /fo csv /nh"),
    ("whoami.exe", "/user /fo csv /nh"),
    ("w32tm.exe", "/query /status /verbose"),
    ("w32tm.exe", "/stripchart /computer:time.example.net /dataonly /samples:3"),
    ("wevtutil.exe", "gl Microsoft-Windows-Hyper-V-VMMS/Admin"),
    ("wevtutil.exe", 'qe System /q:"*[System[(EventID=41)]]" /c:5 /rd:true /f:xml /e:Events'),
    ("nslookup.exe", "-type=SRV -timeout=2 -retry=1 _ldap.example.net 192.0.2.53"),
    ("CiTool.exe", "--list-policies -json"),
    ("azcmagent.exe", "show -j"),
    ("azcmagent.exe", "config list"),
    ("azcmagent.exe", "check -l eastus -j"),
]
REFUSED = [
    ("reg.exe", 'add "HKLM\\SOFTWARE\\X" /reg:64'),
    ("reg.exe", 'delete "HKLM\\SOFTWARE\\X" /f'),
    ("reg.exe", 'query "HKLM\\SOFTWARE" /s /reg:64 & del x'),
    ("reg.exe", 'query "HKLM\\SOFTWARE\\X\\" /s /reg:64'),
    ("reg.exe", 'query "HKLM\\SOFTWARE\\\\X" /reg:64'),
    ("reg.exe", 'query "HKLM\\A" /s /reg:64\n'),
    ("reg.exe", 'query "HKLM\\A^B" /reg:64'),
    ("reg.exe", 'query "HKLM\\%PATH%" /reg:64'),
    ("reg.exe", 'query "HKLM\\!PATH!" /reg:64'),
    ("reg.exe", 'query "\\\\other\\HKLM\\A" /reg:64'),
    ("reg.exe", 'query "HKCU\\A" /reg:64'),
    ("curl.exe", "-q -sS -o C:\\x http://192.0.2.1"),
    ("curl.exe", "-q -sS -Z --parallel-max 50 -K C:\\x"),
    ("whoami.exe", "/all"),
    ("w32tm.exe", "/config /update"),
    ("w32tm.exe", "/resync"),
    ("w32tm.exe", "/stripchart /computer:-x /dataonly /samples:3"),
    ("w32tm.exe", "/stripchart /computer:a /dataonly /samples:9"),
    ("wevtutil.exe", "cl System"),
    ("wevtutil.exe", "sl System /e:false"),
    ("wevtutil.exe", "epl System C:\\x"),
    ("wevtutil.exe", 'qe System /q:"*[System[EventID>5]]"'),
    ("wevtutil.exe", 'qe System /q:"x" /sbm:C:\\x'),
    ("wevtutil.exe", "qe /sbm:x"),
    ("nslookup.exe", "-type=A -timeout=1 -retry=1 - 192.0.2.53"),
    ("nslookup.exe", "-type=A -timeout=1 -retry=1 -debug 192.0.2.53"),
    ("nslookup.exe", "-type=A -timeout=1 -retry=1 a"),
    ("CiTool.exe", "--remove-policy x"),
    ("azcmagent.exe", "config set x y"),
    ("azcmagent.exe", "disconnect"),
    ("azcmagent.exe", "check -l -j"),
]
SPECIAL = "&|<>^!%\r\n\0`;$"


@pytest.mark.parametrize(("name", "arguments"), ALLOWED)
def test_what_reads_may_run_by_its_full_path(name: str, arguments: str) -> None:
    line = program(name).line(arguments)
    assert re.match(r'%SystemRoot%\\System32\\|"%ProgramFiles%\\AzureConnectedMachineAgent\\', line)
    assert line.endswith(arguments)


@pytest.mark.parametrize(("name", "arguments"), REFUSED)
def test_what_may_write_or_smuggle_is_refused(name: str, arguments: str) -> None:
    with pytest.raises(ValueError, match="may not be run"):
        program(name).line(arguments)


@pytest.mark.parametrize("name", ["cmd.exe", "powershell.exe", "reg", "C:\\x\\reg.exe", ""])
def test_another_program_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not on the list"):
        program(name)


def test_the_nearest_program_is_named() -> None:
    with pytest.raises(ValueError, match=r"did you mean curl\.exe"):
        program("curl.ex")


def test_a_line_that_cmd_would_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match="may not be run") as error:
        line_of(RegistryQuery(key="HKLM\\" + "a" * 5000))
    assert len(str(error.value)) < 400


@settings(max_examples=300)
@given(st.data(), st.sampled_from(sorted(PROGRAMS)))
def test_no_accepted_line_holds_anything_that_cmd_gives_a_meaning_to(data: st.DataObject, name: str) -> None:
    arguments = data.draw(st.from_regex(PROGRAMS[name].arguments, fullmatch=True))
    if len(arguments) > 1000:
        return
    assert not set(SPECIAL) & set(arguments)
    assert arguments.isascii()
    assert arguments.isprintable()
    assert arguments.count('"') in (0, 2)
    assert '\\"' not in arguments
    assert PROGRAMS[name].line(arguments).count('"') % 2 == 0


@given(st.sampled_from(ALLOWED), st.data(), st.sampled_from([*SPECIAL, '"', "\t", " & calc", ' " & calc "', "é"]))
def test_a_line_with_anything_slipped_in_is_refused(allowed: tuple[str, str], data: st.DataObject, extra: str) -> None:
    name, arguments = allowed
    at = data.draw(st.integers(0, len(arguments)))
    with pytest.raises(ValueError, match="may not be run"):
        program(name).line(arguments[:at] + extra + arguments[at:])


@given(st.text() | st.text(st.sampled_from('ab\\"&|<>^!% /s')), st.booleans())
def test_a_registry_key_is_one_argument_or_refused(key: str, recurse: bool) -> None:
    try:
        line = line_of(RegistryQuery(key=f"HKLM\\{key}", recurse=recurse))
    except ValueError:
        return
    assert line == (f'%SystemRoot%\\System32\\reg.exe query "HKLM\\{key}"{" /s" if recurse else ""} /reg:64')
    assert not set(SPECIAL + '"') & set(key)
    assert not key.endswith("\\")


def test_a_program_query_is_its_line() -> None:
    query = ProgramQuery(program="whoami.exe", arguments="/user /fo csv /nh", output="csv")
    assert line_of(query) == "%SystemRoot%\\System32\\whoami.exe /user /fo csv /nh"


# Chains

LINE = '%SystemRoot%\\System32\\reg.exe query "HKLM\\SOFTWARE\\X" /reg:64'


def test_a_chain_runs_each_line_and_tells_its_exit_code() -> None:
    (chain,) = chains(["a", "b"], "t")
    assert (
        chain
        == '%SystemRoot%\\System32\\cmd.exe /d /v:on /s /c "a & echo ##t:0 !errorlevel! & b & echo ##t:1 !errorlevel!"'
    )


def test_nothing_to_run_is_no_chain() -> None:
    assert chains([], "t") == []


@given(st.lists(st.integers(1, 1200), max_size=60))
def test_chains_are_short_enough_and_hold_every_line_once_in_order(lengths: list[int]) -> None:
    lines = ["x" * length for length in lengths]
    found = chains(lines, "0123abcd")
    assert all(len(chain) <= LINE_LIMIT for chain in found)
    marks = [int(mark) for chain in found for mark in re.findall(r"##0123abcd:(\d+) !", chain)]
    assert marks == list(range(len(lines)))
    assert sum(chain.count("x & echo") for chain in found) == len(lines)


def test_the_commands_of_a_chain_are_all_seen_by_both_readers() -> None:
    # What is in quotes for the outer cmd.exe is out of them for the inner one; neither may see a loose separator.
    (chain,) = chains([LINE, '"%ProgramFiles%\\A\\azcmagent.exe" show -j', LINE], "t")
    outside = re.sub(r'"[^"]*"', "", chain)
    assert "&" not in outside
    inner = chain.partition('/c "')[2][:-1]
    assert len(re.sub(r'"[^"]*"', "", inner).split(" & ")) == 6


OUTPUTS = st.text(st.characters(codec="utf-8", exclude_characters="\r")).map(lambda text: text.replace("\n", "\r\n"))


@given(st.lists(st.tuples(OUTPUTS, st.integers(-(2**31), 2**31 - 1)), max_size=6))
def test_outputs_and_exit_codes_come_apart_again(results: list[tuple[str, int]]) -> None:
    token = "0123abcd"
    text = "".join(f"{output}##{token}:{number} {code} \r\n" for number, (output, code) in enumerate(results))
    assert unchain(text, token) == dict(enumerate(results))


@pytest.mark.parametrize(
    "echo",
    [
        "##other:0 0\r\n",
        "##tok:0\r\n",
        "##tok: 0 0\r\n",
        "##TOK:0 0\r\n",
        "##tok:x 0\r\n",
        "##tok:0 5x\r\n",
        "##tok:" + "9" * 5000 + " 0\r\n",
    ],
)
def test_marks_that_are_not_the_ones_of_this_run_are_output(echo: str) -> None:
    assert unchain(f"a\r\n{echo}##tok:0 7 \r\n", "tok") == {0: (f"a\r\n{echo}", 7)}


def test_a_command_that_came_to_no_end_has_no_result() -> None:
    assert unchain("a##t:0 0 \r\nhalf of the next", "t") == {0: ("a", 0)}
    assert unchain("a##t:0 0", "t") == {0: ("a", 0)}
    assert unchain("", "t") == {}


def test_a_token_is_taken_as_it_is() -> None:
    assert unchain("##a.b:0 0\r\n", "a.b") == {0: ("", 0)}
    assert unchain("##axb:0 0\r\n", "a.b") == {}


# Outputs


def output(kind: str, text: str) -> object:
    return parse(ProgramQuery(program="x.exe", arguments="/y", output=kind), text)  # type: ignore[arg-type]


def test_outputs_become_plain_data() -> None:
    assert output("csv", '"a","b ""c"""\r\n\r\n"d"\r\n') == [["a", 'b "c"'], ["d"]]
    assert output("json", '\ufeff{"a": [1, null, "é"]}') == {"a": [1, None, "é"]}
    assert output("xml", "<Events><Event/></Events>") == "<Events><Event/></Events>"
    assert output("text", " anything \0") == " anything \0"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("csv", '"a'),
        ("csv", '"a"b'),
        ("csv", "x" * 200_000),
        ("json", ""),
        ("json", "{"),
        ("json", "NaN"),
        ("json", '"\\ud800"'),
        ("json", "[" * 100_000),
        ("json", "9" * 5000),
        ("xml", ""),
        ("xml", "<a>"),
        ("xml", "<!DOCTYPE a><a/>"),
        ("xml", "<a>\0</a>"),
    ],
)
def test_what_is_not_what_the_query_says_is_an_error(kind: str, text: str) -> None:
    with pytest.raises(WireError) as error:
        output(kind, text)
    assert error.value.status is Status.FAILED
    assert "x.exe /y" in error.value.reason
    assert len(error.value.reason) < 300
