"""The only program of the machine that other_kernel.py boots: asks its kernel to load what was compiled elsewhere.

With an argument it runs here, and prints the files that it needs there. So the standard library must do.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from httptop.capture import bytecode
else:
    sys.path += [str(Path(__file__).parent), *sys.argv[1:]]
    import bytecode


def files() -> list[str]:
    """The interpreter, its modules, and the libraries that they have loaded."""
    modules = [module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    paths = {Path(name).resolve() for name in (*modules, *(line.split()[-1] for line in lines)) if name}
    return sorted(str(path) for path in paths if path.is_file())


def load(program: bytecode.Program, maps: dict[str, int]) -> str:
    """Whether it can be."""
    try:
        bytecode.load({program.name: bytecode.Job(program, maps, {})})
    except OSError as error:
        return f"refused {error}"
    return f"loaded {program.name}"


def main() -> None:
    """Say of each program what became of it."""
    image = bytecode.Image.from_json(json.loads(Path("/image.json").read_text(encoding="utf-8")))
    maps = bytecode.create_maps(image.maps)
    for program in image.programs:
        print("httptop:", load(program, maps))
    print("httptop: done", flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        print("\n".join(files()))
    else:
        main()
