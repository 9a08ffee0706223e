"""Starts a tool in Python from the host's packages: `python -I -S launcher.py PROGRAM|MODULE ARGUMENT…`.

The packages go to the end of the path: nothing in them hides the standard library, and nothing of the repository is on it.
"""

import runpy
import sys

PACKAGES = "/opt/packages"

if len(sys.argv) < 2:
    sys.exit("usage: launcher.py PROGRAM|MODULE ARGUMENT…")
sys.path.append(PACKAGES)
sys.dont_write_bytecode = True
target = sys.argv[1]
sys.argv[:] = sys.argv[1:]
if "/" in target:
    runpy.run_path(target, run_name="__main__")
else:
    runpy.run_module(target, run_name="__main__", alter_sys=True)
