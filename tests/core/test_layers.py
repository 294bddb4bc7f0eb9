"""The rules of the architecture, read from the source: who may import whom, who may read a clock, how long code is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "httptop"
MODULES = {
    ".".join(("httptop", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}

BOUNDARY = ("httptop", "httptop.errors", "httptop.records", "httptop.snapshot", "httptop.taught")
TOP = ("httptop.__main__", "httptop.cli", "httptop.options")
CLOCK_READERS = ("httptop.worker", "httptop.capture", "httptop.cli", "httptop.demo", "httptop.counters.cli",
                 "httptop.counters.control")
CLOCK_MODULES = {"time", "sched"}
CLOCK_CALLS = {"now", "utcnow", "today"}  # of datetime and date

# What each layer may import of httptop; a module that is named nowhere is core, where least is allowed but for the
# boundary types. Faces share the pure rows and keys; only cli hands a worker to a screen.
ALLOWED = {
    "boundary": (),
    "core": ("boundary", "core"),
    "capture": ("boundary", "capture"),
    "worker": ("boundary", "capture", "core"),
    "demo": ("boundary", "capture"),
    "counters": ("boundary", "core", "capture", "counters", "top"),
    "export": ("boundary", "core", "render", "export"),
    "render": (),
    "tui": ("boundary", "core", "render", "export", "tui"),
}
ENGINE = {"httptop.engine", "httptop.flows", "httptop.owners", "httptop.http1"}
ONLY_IN = {"bcc": ("httptop.capture.compiling", "httptop.counters.loader"), "textual": "httptop.tui",
           "rich": "httptop.tui", "dpkt": "httptop.capture.pcap"}

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 300
BPF_LINES_MAX = 300


def layer(module: str) -> str:
    if module in BOUNDARY:
        return "boundary"
    if module in TOP:
        return "top"
    part = module.split(".")[1]
    return part if part in ALLOWED else "core"


def inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[str]:
    """Every module that `module` imports, wherever in it, by its full name."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import in line {node.lineno}"
            base = node.module or ""
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in MODULES else base


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    """A module imports only from its own layer's list; cli alone knows everybody."""
    here = layer(module)
    if here == "top":
        return
    for name in imports(module):
        if inside(name, "httptop") and name != "httptop":
            assert layer(name) in ALLOWED[here], f"{module} ({here}) imports {name} ({layer(name)})"


@pytest.mark.parametrize("module", [m for m in MODULES if layer(m) in ("export", "tui", "render")])
def test_faces_know_no_engine(module: str) -> None:
    """What shows a Snapshot cannot reach into what made it."""
    assert not ENGINE.intersection(imports(module))


@pytest.mark.parametrize(("library", "owner"), ONLY_IN.items())
def test_libraries_have_one_home(library: str, owner: str) -> None:
    """Only the compiler and the counters' loader import bcc, only the screen Textual, only the reader of files dpkt."""
    users = {module for module in MODULES for name in imports(module) if inside(name, library)}
    assert {module for module in users if not module.startswith(owner)} == set()


def reads_clock(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name in CLOCK_MODULES for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return node.module in CLOCK_MODULES
    return (isinstance(node, ast.Attribute) and node.attr in CLOCK_CALLS
            and isinstance(node.value, ast.Name) and node.value.id in ("datetime", "date"))


@pytest.mark.parametrize("module", [m for m in MODULES if not any(inside(m, reader) for reader in CLOCK_READERS)])
def test_time_is_an_argument(module: str) -> None:
    """Below the edge nobody reads a clock, so that a file gives the same Snapshot today and tomorrow."""
    assert [ast.unparse(node) for node in ast.walk(tree(module)) if reads_clock(node)] == []


@pytest.mark.parametrize("module", MODULES)
def test_sizes(module: str) -> None:
    """No function is longer than a screen, no module longer than can be read at once."""
    assert lines(MODULES[module]) <= MODULE_LINES_MAX
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, node.name


@pytest.mark.parametrize("path", sorted((ROOT / "bpf").glob("*.[ch]")), ids=lambda path: path.name)
def test_bpf_sizes(path: Path) -> None:
    """The programs in the kernel stay short: they classify, copy and count."""
    assert lines(path) <= BPF_LINES_MAX
