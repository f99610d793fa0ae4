"""The credential of a run: one user, one password, shown to nobody."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from azpreflight.errors import InputError
from azpreflight.model import Problem

USERNAME_VARIABLE = "AZPREFLIGHT_USERNAME"
PASSWORD_VARIABLE = "AZPREFLIGHT_PASSWORD"  # noqa: S105 - the name of a variable, no password
DIRECTORY_USERNAME_VARIABLE = "AZPREFLIGHT_DIRECTORY_USERNAME"
DIRECTORY_PASSWORD_VARIABLE = "AZPREFLIGHT_DIRECTORY_PASSWORD"  # noqa: S105 - likewise


class Credential:
    """A user name and its password. Neither `repr` nor `str` shows the password."""

    def __init__(self, username: str, password: str) -> None:
        self.username = username
        self.password = password

    def __repr__(self) -> str:
        return f"Credential({self.username!r}, ...)"


def read_password_file(path: Path) -> str:
    """The first line of a file.

    Raises:
        InputError: it cannot be read or is empty.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            return _first_line(file.readline(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        problem = Problem(code="unreadable", message=f"the password cannot be read: {reason}", where=str(path))
        raise InputError(problem) from None


def read_password_stdin() -> str:
    """The first line of standard input.

    Raises:
        InputError: it is empty.
    """
    return _first_line(sys.stdin.readline(), "standard input")


def password_from_environment(variable: str = PASSWORD_VARIABLE) -> str | None:
    """The password that the environment holds, None when it holds none."""
    return os.environ.get(variable) or None


def _first_line(line: str, where: str) -> str:
    password = line.rstrip("\r\n")
    if not password:
        raise InputError(Problem(code="no-password", message="no password: the first line is empty", where=where))
    return password
