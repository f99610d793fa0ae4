"""Wine: a cmd.exe and a reg.exe that others wrote, on which the lines that nodes would get are tried."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import needed

SECONDS = 120.0
"""For one run: the first one makes the prefix, which takes four seconds on an idle machine."""


@dataclass(frozen=True)
class Wine:
    """A Windows of its own in a folder.

    Attributes:
        folder: where scripts and the prefix are.
        program: the path of wine.
    """

    folder: Path
    program: str

    @property
    def environment(self) -> dict[str, str]:
        """Of every process: no display, no messages of Wine's own, neither .NET nor a browser."""
        kept = {name: text for name, text in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "LANG")}
        prefix = str(self.folder / "prefix")
        return {**kept, "WINEPREFIX": prefix, "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml=d"}

    def run(self, script: str, language: str = "en_US") -> bytes:
        """What cmd.exe writes to standard output when it runs the lines of `script`.

        They stand in a file: as an argument, their quotes would be escaped on the way.
        """
        file = self.folder / "script.cmd"
        file.write_bytes(script.replace("\n", "\r\n").encode("ascii"))
        done = subprocess.run(
            [self.program, "cmd", "/d", "/c", self.path(file)],
            env={**self.environment, "LC_ALL": f"{language}.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout

    @staticmethod
    def path(file: Path) -> str:
        """A file as Wine's programs name it."""
        return f"Z:{file}".replace("/", "\\")


@pytest.fixture(scope="session")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wine]:
    """One prefix for the session. It takes 700 MiB while it is there."""
    program = needed("wine", "wine")
    found = Wine(tmp_path_factory.mktemp("wine"), program)
    try:
        yield found
    finally:
        # Ends what runs in this prefix and nothing else; the files may go when it is gone.
        server = [needed("wineserver", "wine")]
        subprocess.run([*server, "-k"], env=found.environment, check=False, capture_output=True, timeout=SECONDS)
        subprocess.run([*server, "-w"], env=found.environment, check=False, capture_output=True, timeout=SECONDS)
        shutil.rmtree(found.folder)
