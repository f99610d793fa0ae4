"""The benchmark runs from end to end. Its figures are not looked at: a loaded machine proves nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "winrm.py"
WAYS = {"pywinrm", "pytest-testinfra", "pypsrp", "floor", "azpreflight"}


def test_the_benchmark_of_windows_nodes_runs_and_prints_its_four_tables() -> None:
    command = [sys.executable, str(SCRIPT), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    tables = re.split(r"^### ", done.stdout, flags=re.MULTILINE)[1:]
    assert [text[0] for text in tables] == ["1", "2", "3", "4"]
    rows = [line.split("|")[1].split(",")[0].split(":")[0].strip() for line in tables[0].splitlines() if "|" in line]
    assert set(rows) >= WAYS
