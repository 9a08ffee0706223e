"""The shim as it is, with one disturbance at a named moment of its set-up: run in its place, as `python -I -S disturbed.py FOLDER`.

Beside FOLDER lies disturbance.json: `event` is what the interpreter is about to do (an audit event, or how the name of a file ends
that is opened), `victim` who is hit then, `signal` with what. `command` is what bubblewrap starts instead of the gate.
"""

import json
import os
import re
import runpy
import select
import signal
import sys
from pathlib import Path

FOLDER = Path(sys.argv[1])
PLAN = json.loads((FOLDER.parent / "disturbance.json").read_text())
SHIM = os.getpid()
gate = 0
is_over = False


def disturb(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook: children of the shim inherit it, until they become another program."""
    global gate, is_over  # noqa: PLW0603 - a hook has nothing else
    if is_over or (os.getpid() == SHIM) != (PLAN["victim"] in {"gate", "first", "bwrap"}):
        return
    what = str(arguments[0]) if event == "open" else event
    if found := re.fullmatch(r"/proc/(\d+)/status", what):
        gate = int(found[1])
    if what.endswith(PLAN["event"]):
        is_over = True
        hit(PLAN["victim"], signal.Signals[PLAN["signal"]])


def hit(victim: str, number: signal.Signals) -> None:
    match victim:
        case "itself":
            os.kill(os.getpid(), number)
        case "guard":
            os.kill(os.getpgrp(), number)
        case "group":
            os.killpg(os.getpgrp(), number)
        case "shim":
            os.kill(os.getppid(), number)
        case _:
            first = parent_of(gate)
            dead = select.poll()
            dead.register(os.pidfd_open(gate), select.POLLIN)
            os.kill({"gate": gate, "first": first, "bwrap": parent_of(first)}[victim], number)
            dead.poll()  # if any of them is killed, the gate dies


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


if PLAN["command"]:
    config = json.loads((FOLDER / "config.json").read_text())
    (FOLDER / "config.json").write_text(json.dumps(config | {"command": PLAN["command"]}))
if PLAN["event"]:
    sys.addaudithook(disturb)
runpy.run_path(PLAN["shim"], run_name="__main__")
