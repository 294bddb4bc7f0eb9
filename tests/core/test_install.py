"""What is installed from a wheel is whole: the command, the BPF sources, the schema, the stylesheet."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds what a wheel of this tree brings."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling import build; print(build.build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(folder / done.stdout.split()[-1]) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def python(installed: Path, *arguments: str) -> str:
    """Run Python on the installed package, away from this tree."""
    environ = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *arguments], cwd=installed.parent, env=environ, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_runs(installed: Path) -> None:
    """`python -m httptop --version` of the wheel is that of the wheel."""
    code = "import httptop; print(httptop.__file__)"
    assert python(installed, "-c", code).startswith(str(installed))
    assert python(installed, "-m", "httptop", "--version").startswith("httptop ")


def test_data_files_are_there(installed: Path) -> None:
    """Every file that is no Python comes along, and all of bpf/."""
    wanted = [path.relative_to(ROOT) for path in (ROOT / "httptop").rglob("*")
              if path.is_file() and path.suffix not in (".py", ".pyc")]
    wanted += [Path("httptop", path.relative_to(ROOT)) for path in (ROOT / "bpf").rglob("*") if path.is_file()]
    assert [str(path) for path in wanted if not (installed / path).is_file()] == []


def test_bpf_sources_are_found(installed: Path) -> None:
    """The installed package uses its own BPF sources."""
    code = "from httptop.capture.live import bpf_directory; print(bpf_directory())"
    assert python(installed, "-c", code).strip() == str(installed / "httptop" / "bpf")
