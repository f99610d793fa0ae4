"""Kerberos: the ticket that proves who the operator is, and what can go wrong between it and a node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from azpreflight.facts.errors import Rejected, WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.text import one_line

KINIT_SECONDS = 30.0
KLIST_SECONDS = 5.0
_CACHE = "KRB5CCNAME"
_PRINCIPAL = re.compile(r"^\s*(?:Default principal|Principal): *(\S+)", re.MULTILINE)
_CALLED = re.compile(r"^kinit: *", re.MULTILINE)

_FAILURES = (
    ("Clock skew", Status.REFUSED, "the clocks of this machine, the domain controller and the node differ too much"),
    ("Cannot contact any KDC|Cannot find KDC|Cannot resolve", Status.UNREACHABLE, "no domain controller answers"),
    ("Server .*not found", Status.REFUSED, "the domain knows no service of that name: correct directory.domain"),
    ("expired", Status.REFUSED, "the ticket or the password has expired"),
    ("[Nn]o (Kerberos )?credentials|find client principal", Status.REFUSED, "there is no ticket: run kinit"),
)
"""Words of MIT Kerberos, in the C locale, with what they mean."""
_TOLD = re.compile(r"""\((['"])(.+?)\1, -?[0-9]+\)""")
"""One message among those that the binding hands on, each with its number; the last one tells most."""
_REJECTED = ("Password incorrect", "Preauthentication failed", "credentials have been revoked", "not found in Kerberos")


class Ticket:
    """Gets the ticket of one run, once, however many nodes need it.

    With a password, `kinit` puts it into a cache of its own, which the process uses from then on, until `close`.
    Without, the operator's own cache has to hold one.
    """

    def __init__(self, principal: str, password: str) -> None:
        self._principal = principal
        self._password = password
        self._lock = threading.Lock()
        self._tried = False
        self._error: WireError | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._before: str | None = None

    def require(self) -> None:
        """See that there is a ticket. Asked again, it gives the same answer without another attempt.

        Raises:
            Rejected: the domain refuses the password or the account.
            WireError: there is no ticket for another reason.
        """
        with self._lock:
            if not self._tried and self._password:
                self._error = self._obtain()
            self._tried = True
            if self._error is not None:
                raise self._error

    def close(self) -> None:
        """Forget the ticket that was got with the password."""
        with self._lock:
            if self._folder is None:
                return
            if self._before is None:
                os.environ.pop(_CACHE, None)
            else:
                os.environ[_CACHE] = self._before
            self._folder.cleanup()
            self._folder = None

    def _obtain(self) -> WireError | None:
        self._folder = tempfile.TemporaryDirectory(prefix="azpreflight-")
        cache = f"FILE:{Path(self._folder.name) / 'tickets'}"
        try:
            done = subprocess.run(  # noqa: S603 - no shell; the principal is one argument
                [shutil.which("kinit") or "kinit", "-c", cache, "--", self._principal],
                input=f"{self._password}\n",
                capture_output=True,
                text=True,
                check=False,
                timeout=KINIT_SECONDS,
                env={**os.environ, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired:
            return WireError(Status.UNREACHABLE, f"kinit {self._principal} got no answer in time", fatal=True)
        except OSError as error:
            return WireError(Status.FAILED, f"kinit cannot be run: {error.strerror}", fatal=True)
        # Kerberos finds its cache through the environment alone, which the whole process shares.
        self._before = os.environ.get(_CACHE)
        os.environ[_CACHE] = cache
        return None if done.returncode == 0 else self._failed(_CALLED.sub("", done.stderr))

    def _failed(self, words: str) -> WireError:
        text = " ".join(words.split())[:300]
        if any(part in words for part in _REJECTED):
            reason = f"the domain rejected the credential of {self._principal}: {text}; no second attempt was made"
            return Rejected(reason)
        return failure(words, f"no ticket for {self._principal}")


def failure(words: str, what: str) -> WireError:
    """The error of a failed Kerberos exchange.

    Args:
        words: of the Kerberos library.
        what: did not come about.
    """
    told = [found[2] for found in _TOLD.finditer(words)]
    text = one_line((told or [words])[-1], 300)
    for pattern, status, meaning in _FAILURES:
        if re.search(pattern, words):
            return WireError(status, f"{what}: {meaning} ({text})", fatal=True)
    return WireError(Status.FAILED, f"{what}: {text}", fatal=True)


def principal_at_hand() -> str | None:
    """Whose ticket the operator holds, None when there is none that is valid."""
    shown = _klist() if _klist("-s") is not None else None
    found = _PRINCIPAL.search(shown) if shown is not None else None
    return found[1] if found is not None else None


def _klist(*options: str) -> str | None:
    """What klist writes; None when it fails, which with `-s` means that no ticket is valid."""
    program = shutil.which("klist")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and nothing that comes from elsewhere
            [program, *options],
            capture_output=True,
            text=True,
            check=False,
            timeout=KLIST_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
