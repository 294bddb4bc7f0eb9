"""Run one target: its name, then libFuzzer's flags; a folder among them is where the corpus grows from run to run."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["httptop"]):
    target = importlib.import_module(f"tests.fuzz.{sys.argv.pop(1)}")

with tempfile.TemporaryDirectory() as folder:
    for number, seed in enumerate(target.SEEDS):
        Path(folder, str(number)).write_bytes(seed)
    atheris.Setup([*sys.argv, folder], target.check)
    atheris.Fuzz()
