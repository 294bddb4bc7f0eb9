"""Compiled programs as data: what depends on this run is taken out, and put in again."""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import psutil
import pytest

from httptop.capture import bytecode
from tests.support.poll import until

MARK = 0x1122334455667788
WIDE = 0x18  # a load of 64 bits, in the room of two instructions


def wide(source: int, constant: int) -> bytes:
    return struct.pack("=BBhi", WIDE, 1 | source << 4, 0, constant & 0x7FFFFFFF) + struct.pack(
        "=BBhi", 0, 0, 0, constant >> 32)


EXIT = struct.pack("=BBhi", 0x95, 0, 0, 0)


def test_maps_are_known_by_name() -> None:
    """The fd of a map, which is another one each time, is replaced by its name; constants stay."""
    code = wide(0, 7) + wide(1, 7) + wide(1, 9) + EXIT
    program = bytecode.program("f", bytecode.SOCKET_FILTER, code, {7: "seven", 9: "nine"})
    assert program.maps == [(2, "seven"), (4, "nine")]
    assert program.code == wide(0, 7) + wide(1, 0) + wide(1, 0) + EXIT


def test_what_is_no_map_is_refused() -> None:
    """A reference that means nothing in another run (here to a map's value) must not be stored."""
    with pytest.raises(ValueError, match="f: instruction 0"):
        bytecode.program("f", bytecode.SOCKET_FILTER, wide(2, 7) + EXIT, {7: "seven"})


def test_an_image_survives_json() -> None:
    """An image is the same after it was written and read."""
    image = bytecode.Image(
        [bytecode.Map("seven", 2, 4, 8, 1, 1024)],
        [bytecode.program("f", bytecode.TRACEPOINT, wide(1, 7) + EXIT, {7: "seven"})])
    assert bytecode.Image.from_json(json.loads(json.dumps(image.as_json()))) == image


def code(*instructions: tuple[int, int, int, int]) -> bytes:
    return b"".join(struct.pack("=BBhi", *instruction) for instruction in instructions)


SET, ADD, CALL, GO, GO_IF_LESS = 0xB7, 0x07, 0x85, 0x05, 0xA5


@pytest.mark.parametrize("last", [(ADD, 0, 0, 1), (CALL, 0, 0, 5)])
def test_a_loop_ends_with_a_jump(last: tuple[int, int, int, int]) -> None:
    """Linux before 6.7 refuses a loop whose last instruction falls into its first one: a jump comes between them.

    All other jumps lead where they led.
    """
    falls = code((SET, 0, 0, 0), (GO, 0, 2, 0), (SET, 1, 0, 0), last, (GO_IF_LESS, 0, -3, 5), (GO, 0, 0, 0)) + EXIT
    assert bytecode.fallen_into(falls) == {4}
    made = bytecode.program("f", bytecode.SOCKET_FILTER, falls, {}).code
    assert made == code((SET, 0, 0, 0), (GO, 0, 3, 0), (SET, 1, 0, 0), last, (GO, 0, 0, 0), (GO_IF_LESS, 0, -4, 5),
                        (GO, 0, 0, 0)) + EXIT
    assert not bytecode.fallen_into(made)


def test_other_loops_stay_as_they_are() -> None:
    """What ends with a jump, always or not, is no such loop; nor is what two ways lead to."""
    jumps = code((SET, 0, 0, 0), (ADD, 0, 0, 1), (GO_IF_LESS, 0, -2, 5), (GO_IF_LESS, 0, 1, 9), (SET, 0, 0, 1),
                 (GO_IF_LESS, 0, 1, 9), (GO, 0, -6, 0)) + EXIT
    assert bytecode.program("f", bytecode.SOCKET_FILTER, jumps, {}).code == jumps


def test_what_two_compilers_make_is_one() -> None:
    """Maps that both know are one map; if they are not the same, there is no way to have both."""
    shared, own = bytecode.Map("shared", 2, 4, 8, 1, 0), bytecode.Map("own", 2, 4, 8, 1, 0)
    first, second = (bytecode.program(name, bytecode.SOCKET_FILTER, EXIT, {}) for name in "ab")
    both = bytecode.Image([shared], [first]).joined(bytecode.Image([own, shared], [second]))
    assert sorted(both.maps) == [own, shared]
    assert both.programs == [first, second]
    with pytest.raises(ValueError, match="one name"):
        both.joined(bytecode.Image([shared._replace(entries=2)], []))


def test_settings_are_put_in_their_places() -> None:
    """A mark becomes the value of this run where it is loaded, and only there."""
    code = bytearray(wide(0, MARK) + wide(0, MARK + 1) + wide(0, MARK))
    bytecode.put_setting(code, MARK, 0xF0000098)
    low, high = 0xF0000098, 0
    expected = struct.pack("=BBhIBBhI", WIDE, 1, 0, low, 0, 0, 0, high)
    assert bytes(code) == expected + wide(0, MARK + 1) + expected


def imported(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """compiling.py as the loader imports it."""
    monkeypatch.syspath_prepend(str(Path(bytecode.__file__).parent))
    return importlib.import_module("compiling")


@pytest.mark.parametrize(("machine", "release", "known"), [
    ("x86_64", "5.15.0-91-generic", True), ("aarch64", "6.1.0", True), ("x86_64", "5.14.21", False),
    ("riscv64", "6.18.4", False)])
def test_registers_are_read_where_they_are_known(monkeypatch: pytest.MonkeyPatch, machine: str, release: str,
                                                 known: bool) -> None:
    """Elsewhere the program does without: no other register is read, no helper called that the kernel has not."""
    compiling = imported(monkeypatch)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=machine, release=release))
    assert bool(compiling.accept_registers()) == known


def test_what_another_process_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It arrives whole."""
    made = imported(monkeypatch).beside(lambda: bytecode.Image([bytecode.Map("m", 2, 4, 8, 1, 0)], []))
    assert made() == bytecode.Image([bytecode.Map("m", 2, 4, 8, 1, 0)], [])


@pytest.mark.parametrize(("make", "said"), [
    (lambda: 1 // 0, "division"), (lambda: os.kill(os.getpid(), signal.SIGKILL), "the compiler died")])
def test_what_another_process_cannot_make(monkeypatch: pytest.MonkeyPatch, make: Callable[[], object],
                                          said: str) -> None:
    """What went wrong there is said here."""
    made = imported(monkeypatch).beside(make)
    with pytest.raises(RuntimeError, match=said):
        made()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives a process its priority back")
def test_another_process_hurries_when_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, what is on the screen comes first."""
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, 0)

    def make() -> bytecode.Image:
        until(lambda: priority() == ours, "our parent to wait", 10)
        return bytecode.Image([], [])

    ours = priority()
    made = imported(monkeypatch).beside(make)
    until(lambda: any(child.nice() > ours for child in psutil.Process().children()), "it to begin")
    assert made() == bytecode.Image([], [])


def test_another_process_keeps_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for us to close a pipe need not wait for it."""
    reading, writing = os.pipe()
    imported(monkeypatch).beside(lambda: time.sleep(60))
    os.close(writing)
    assert select.select([reading], [], [], 10)[0] == [reading]
    os.close(reading)
    for child in psutil.Process().children():
        child.kill()
        child.wait()
