"""Starts the reader, both as a directory (`python -I -S …/reader`) and as a module of the package.

As a directory the interpreter puts the directory itself first on the path, where our modules would hide those of the
standard library; so the parent goes to the end instead and the package is imported by its name.
"""

import importlib
import sys
from pathlib import Path

if not __package__:
    folder = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != folder] + [str(folder.parent)]
    sys.dont_write_bytecode = True

sys.exit(importlib.import_module(f"{__package__ or Path(__file__).resolve().parent.name}.program").main(sys.argv[1:]))
