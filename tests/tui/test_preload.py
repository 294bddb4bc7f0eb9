"""After httptop has given up root, no file that it was installed with can be read any more."""

from __future__ import annotations

import subprocess
import sys

EXERCISE = """
import asyncio, sys, sysconfig
import httptop
from httptop.errors import HttptopError
from httptop.tui import preload
from httptop.tui.app import HttptopApp
from tests.tui import snapshots
from tests.tui.shoot import Recorded

KEYS = ("question_mark escape slash a colon escape slash s t a t u s colon 5 x x enter p down enter escape m G enter "
        "escape escape space space less_than_sign greater_than_sign r plus plus 1 2 3 4 tab enter escape 1 down enter "
        "pagedown space space escape t t d escape R n e escape 5 c g g k k ctrl+p t h e down enter escape escape up "
        "end home").split()
INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
INSTALLED += (httptop.__path__[0], sys.prefix, sys.base_prefix)
late = []
watching = False


def audit(event, arguments):
    if watching and (event == "import" or (event == "open" and str(arguments[0]).startswith(INSTALLED))):
        late.append((event, str(arguments[0])))


async def exercise():
    global watching
    app = HttptopApp(Recorded(()))
    async with app.run_test(size=(120, 40), notifications=True, tooltips=True) as pilot:
        preload()
        every = [getattr(snapshots, name)() for name in ("empty", "hostile", "losses", "error_burst", "calm")]
        sys.addaudithook(audit)
        watching = True
        for snapshot in every:
            app.publish(snapshot)
            await pilot.pause()
        for key in KEYS:
            await pilot.press(key)
            await pilot.pause()
        for size in ((80, 24), (30, 8), (200, 60)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        app.notify("text")
        await pilot.hover("#urls")
        await pilot.pause()
        app.publish(HttptopError("what", "do"))
        await pilot.pause()
        await pilot.press("x")
        watching = False
    assert app.return_code == 1

asyncio.run(exercise())
print(*late, sep="\\n")
"""


def test_nothing_is_read_after_preload() -> None:
    """Every key, state and size of the screen works without importing a module or opening a file."""
    done = subprocess.run([sys.executable, "-c", EXERCISE], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_other_faces_do_not_pay_for_the_screen() -> None:
    """`httptop.tui` alone imports neither Textual nor Rich; `httptop.render` never does."""
    code = "import sys, httptop.tui, httptop.render; print(*{'textual', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
