"""Starts one of our agents, bridges or the analyzer: `python -I -S /opt/agent reader …`, `python -I -S /opt/bridge acp …`.

The interpreter puts this folder itself first on the path, where our modules would hide those of the standard library; so its
parent goes to the end instead, and the program is imported by its name there.
"""

import importlib
import sys
from pathlib import Path

PACKAGES = "/opt/packages"  # where the sandbox shows the host's Python packages to programs whose spec asks for them
PROGRAMS = ("acp", "analyzer", "codex", "command", "dependencies", "facts", "pi", "reader", "survey")

if not __package__:
    folder = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != folder]
    sys.path += [str(folder.parent), PACKAGES]
    sys.dont_write_bytecode = True

name = sys.argv[1] if len(sys.argv) > 1 else ""
if name not in PROGRAMS:
    sys.exit(f"usage: agents {'|'.join(PROGRAMS)} …")
package = __package__ or Path(__file__).resolve().parent.name
sys.exit(importlib.import_module(f"{package}.{name}.program").main(sys.argv[2:]))
