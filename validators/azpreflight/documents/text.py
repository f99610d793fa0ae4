"""Reading and decoding of text, within bounds."""

from __future__ import annotations

import math
import re
from pathlib import Path

from azpreflight.errors import InputError
from azpreflight.model import Problem, Value

MOST_BYTES = 5 * 1024 * 1024
LONGEST_NUMBER = 40
_BEYOND = 10 ** (LONGEST_NUMBER - 1)
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
UNUSABLE = re.compile("[\x00\ud800-\udfff]")
"""Half characters cannot be written down again, NUL ends a file name; escapes can bring both in."""

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_bytes(path: str | Path, *, most: int = MOST_BYTES) -> bytes:
    """The content of a file that the user named."""
    # What is no text in a file name is escaped, because a report could not be written with it.
    name = str(path).encode("utf-8", "backslashreplace").decode("utf-8")
    try:
        with Path(path).open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        raise input_error("not-found", "there is no such file", name) from None
    except IsADirectoryError:
        raise input_error("not-a-file", "is a folder; name a file in it", name) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise input_error("unreadable", f"cannot be read: {reason}", name) from None
    _bounded(content, name, most)
    return content


def usable(value: Value) -> Value:
    """Plain data without what no document can hold: each such character is shown as U+FFFD.

    A number that no document can hold becomes text that says so.
    """
    match value:
        case str():
            return UNUSABLE.sub("\ufffd", value)
        case list():
            return [usable(part) for part in value]
        case dict():
            return {UNUSABLE.sub("\ufffd", key): usable(part) for key, part in value.items()}
        case int() if not -_BEYOND < value < _BEYOND:
            return "a number that is out of range"
        case float() if not math.isfinite(value):
            return "a number that is out of range"
    return value


def input_error(code: str, message: str, where: str) -> InputError:
    """The error of one mistake."""
    return InputError(Problem(code=code, message=message, where=where))


def decode(text: str | bytes, name: str, most: int) -> str:
    """Text from UTF-8, or from UTF-16 where a byte order mark says so, without that mark."""
    _bounded(text, name, most)
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    # Windows editors still save "Unicode" as UTF-16.
    encoding = "utf-16" if text.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    try:
        return text.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode(encoding, errors="replace").removeprefix("\ufeff")
        message = f"is not {encoding.upper()}; save the file as UTF-8"
        raise input_error("syntax", message, _place_after(before, name)) from None


def refuse_control_characters(text: str, name: str) -> None:
    """Raise for what is no character of a text that people write, such as a bell or an escape."""
    if found := _UNPRINTABLE.search(text):
        message = f"holds the control character U+{ord(found.group()):04X}"
        raise input_error("syntax", message, _place_after(text[: found.start()], name))


def _bounded(text: str | bytes, name: str, most: int) -> None:
    if len(text) > most:
        raise input_error("too-large", f"is larger than {most // 1024} KiB", name)


def _place_after(before: str, name: str) -> str:
    lines = re.split(r"\r\n|\r|\n", before)
    return f"{name}:{len(lines)}:{len(lines[-1]) + 1}"
