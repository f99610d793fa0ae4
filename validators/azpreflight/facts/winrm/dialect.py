"""What a node's curl.exe understands: asked by `--version`, before anything else is asked of it.

Windows Server 2019 and Windows 10 came with 7.55.1, which is what unpatched machines still have; patched ones have 8.x.
"""

from __future__ import annotations

import re

from azpreflight.facts.errors import WireError
from azpreflight.facts.observation import Status
from azpreflight.facts.winrm.shell import Output
from azpreflight.model import Frozen

PARALLEL = 50
"""Transfers at a time."""

_NO_PROGRAM = frozenset({1, 3, 9009})
"""Exit codes by which cmd.exe tells that it found no such program."""
_BANNER = re.compile(r"curl (\d{1,4})\.(\d{1,4})(?:\.\d{1,4})?[ -]")


class Dialect(Frozen, kw_only=True):
    """What a version of curl has, by curl's own manual.

    parallel: `-Z`, since 7.66.0; and since then, what follows a failed `next` is done as well. immediate:
    `--parallel-immediate`, since 7.68.0; without it a transfer waits for another one to the same host or proxy. Then
    there is `--no-progress-meter` (7.67.0) as well, since `-s` does not silence the meter of parallel transfers.
    json: `%{json}` (7.70.0) with `%{exitcode}` and `%{errormsg}`, since 7.75.0. Tries are repeated from then on, too:
    `--retry-all-errors` is there since 7.71.0, but words of a try that was repeated could not be told from those of
    another transfer. certificates: `%{certs}`, and so `certs` in `%{json}`, since 7.88.0.
    """

    version: str
    parallel: bool
    immediate: bool
    json: bool
    certificates: bool

    @classmethod
    def of_version(cls, major: int, minor: int) -> Dialect:
        """What curl has since a version that is not newer than this one."""
        version = (major, minor)
        return cls(
            version=f"{major}.{minor}",
            parallel=version >= (7, 66),
            immediate=version >= (7, 68),
            json=version >= (7, 75),
            certificates=version >= (7, 88),
        )

    @property
    def arguments(self) -> str:
        """The command line that runs a work list."""
        side_by_side = f" -Z --parallel-max {PARALLEL}" if self.parallel else ""
        at_once = " --parallel-immediate --no-progress-meter" if self.immediate else ""
        return f"-q -sS{side_by_side}{at_once} -K -"


CURRENT = Dialect.of_version(8, 0)
"""That of patched machines, and what a plan shows."""


def dialect_of(version: Output) -> Dialect:
    """What the answer to `--version` tells.

    Raises:
        WireError: there is no curl.exe, or it tells no version.
    """
    banner = _BANNER.match(version.stdout)
    if banner is not None:
        return Dialect.of_version(int(banner[1]), int(banner[2]))
    words = " ".join(version.stderr.split())[:200]
    if version.exit_code in _NO_PROGRAM:
        reason = f"there is no curl.exe; Windows Server 2016 and older have none: {words}"
        raise WireError(Status.NOT_PRESENT, reason)
    raise WireError(Status.FAILED, f"curl.exe tells no version (exit code {version.exit_code}): {words}")
