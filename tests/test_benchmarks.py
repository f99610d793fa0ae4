"""The benchmarks run from end to end. Their figures are not looked at: a loaded machine proves nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
WAYS = {"pywinrm", "pytest-testinfra", "pypsrp", "floor", "azpreflight"}


def quick(script: str) -> list[str]:
    """The tables that a benchmark prints in its short form."""
    command = [sys.executable, str(BENCHMARKS / script), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    return re.split(r"^### ", done.stdout, flags=re.MULTILINE)[1:]


def test_the_benchmark_of_windows_nodes_runs_and_prints_its_four_tables() -> None:
    tables = quick("winrm.py")
    assert [text[0] for text in tables] == ["1", "2", "3", "4"]
    rows = [line.split("|")[1].split(",")[0].split(":")[0].strip() for line in tables[0].splitlines() if "|" in line]
    assert set(rows) >= WAYS


def test_the_benchmark_of_dns_servers_and_endpoints_runs_and_prints_its_three_tables() -> None:
    tables = quick("network.py")
    assert [text[0] for text in tables] == ["1", "2", "3"]
    assert all("| azpreflight" in text for text in tables)
