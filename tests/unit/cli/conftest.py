"""A command line that is typed: the real one, in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from azpreflight.cli import main
from unit.cli.commands import Done, Typed


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Typed:
    """Runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AZPREFLIGHT_PASSWORD", raising=False)

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["azpreflight", *words])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        return Done(int(left.value.code or 0), captured.out, captured.err)

    return run
