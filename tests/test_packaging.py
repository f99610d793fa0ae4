"""What is installed: one top level, with its packs and its sample, found from a wheel, a link and a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_has_one_top_level(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"azpreflight"}


def test_the_wheel_carries_every_rule_file_and_the_sample(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    rules = {f"azpreflight/{p.relative_to(ROOT).as_posix()}" for p in (ROOT / "rules").rglob("*") if p.is_file()}
    sample = {
        p.relative_to(ROOT / "validators").as_posix()
        for p in (ROOT / "validators/azpreflight/sample").rglob("*")
        if p.is_file()
    }
    assert rules | sample | {"azpreflight/py.typed"} <= names


def test_no_stray_package_shadows_validators_or_rules() -> None:
    assert not (ROOT / "validators/__init__.py").exists()
    assert not (ROOT / "rules/__init__.py").exists()


def test_an_installed_wheel_runs_the_demo_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", system_site_packages=True, with_pip=True)
    python = tmp_path / "venv/bin/python"
    # The dependencies are those of the environment that runs the tests.
    paths = [path for path in sys.path if path.endswith("site-packages")]
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", str(wheel)], check=True, capture_output=True)
    own = str(next((tmp_path / "venv").glob("lib/*/site-packages")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([own, *paths])}
    command = [str(python), "-m", "azpreflight", "demo", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "NOT READY" in done.stdout


def test_an_uninstalled_checkout_finds_its_packs(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "validators")}
    code = "from azpreflight.packs.load import builtin_root, load_packs; load_packs(); print(builtin_root())"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).name == "rules"
