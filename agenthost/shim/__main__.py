"""Keeps one attempt: sets its sandbox up, verifies it, releases the agent, spools what it says, and writes how it ended.

Run as `python -I -S agenthost/shim/__main__.py FOLDER`, in a session of its own, from the standard library only: it outlives the
daemon that started it, so all that it will ever need is loaded at its start. It takes no part in understanding what an agent says.

It inherits three descriptors: 3 is FOLDER/lock, locked (that lock, never a process id, says that the attempt lives), 4 listens
on FOLDER/control.sock, and 5 holds the snapshot's lock, shared: it is not deleted while this process lives. It reads config.json
and prompt, writes spool as things happen, released.json before the agent runs, and status.json at the very end.

Rules that the order keeps:
- The agent waits at a gate inside the finished sandbox until it was verified from outside. The gate opens on the word GO; when
  this process dies before, the gate reads EOF and nothing runs. When it dies later, the kernel kills bubblewrap, and that the rest.
- To end everything, the first process of the pid namespace is killed, through a descriptor that cannot mean another process.
- Started by root, the sandbox is set up by another user: what bubblewrap believes to be unprivileged must be so for the kernel.

Several modules rather than one file: as a script, all of it would be compiled again for every attempt.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from agenthost.shim.confinement import Sandbox
from agenthost.shim.door import open_door
from agenthost.shim.inspection import refuse_changes
from agenthost.shim.keeper import LISTENER_FD, Keeper
from agenthost.shim.kernel import PR_SET_CHILD_SUBREAPER, Interrupted, Refused, call, now, read_file
from agenthost.shim.records import reserve_status, write_file, write_status
from agenthost.shim.spool import Spool

TYPE_CHECKING = False  # `typing` would cost every attempt 2 ms
if TYPE_CHECKING:
    from typing import Any

LOCK_FD, SNAPSHOT_FD = 3, 5
FIRST_UNLIKELY_FD = 4096


def main(folder: str) -> None:
    """Keeps the attempt of a folder, from set-up to status."""
    os.chdir(folder)
    os.closerange(SNAPSHOT_FD + 1, FIRST_UNLIKELY_FD)  # any others that the daemon was started with
    for fd in (LOCK_FD, LISTENER_FD, SNAPSHOT_FD):
        os.set_inheritable(fd, False)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    call("prctl", PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0)
    config = json.loads(read_file("config.json"))
    with open("prompt", "rb") as file:
        prompt = file.read()
    reserve_status()
    spool, sandbox = Spool(), Sandbox(config)
    keeper = Keeper(config, spool, sandbox)
    try:
        sandbox.start(prompt)
        refuse_changes(config["sources"]["tree"], config["fingerprint"])
        deadline = now() + config["setup_seconds"]
        sandbox.wait_at_gate(deadline)
        if config["model"]:
            keeper.door = open_door(sandbox.agent, config["model_port"], deadline)
        sandbox.verify()
        # Before the agent runs, so that its folder tells whether it ever did.
        sandbox.released_ns = time.time_ns()
        write_file("released", describe(config, sandbox), durable=False)
        sandbox.release()
    except (Refused, Interrupted, OSError, ValueError, KeyError) as error:
        # Before we end anything: what is dead by now was not ended by us.
        ending: dict[str, Any] = sandbox.explain(error)
        sandbox.give_up()
    else:
        signal.signal(
            signal.SIGTERM, lambda *_: keeper.stop("cancelled", "The shim got SIGTERM.", config["grace_seconds"])
        )
        keeper.keep(prompt)
        ending = {"cause": keeper.clocks.cause, "message": keeper.clocks.message, **sandbox.ending()}
        ending["elapsed_seconds"] = now() - keeper.released
    write_status({**ending, **describe(config, sandbox), "denials": keeper.denials}, spool)
    reap()
    sandbox.bound.remove()


def describe(config: dict[str, Any], sandbox: Sandbox) -> dict[str, Any]:
    """Returns what is true of the attempt however it ended."""
    return {
        "execution": config["execution"],
        "argv": config["argv"],
        "mechanism": config["mechanism"],
        "policy_digest": config["policy_digest"],
        "pid": sandbox.agent,
        "uid": sandbox.uid,
        "boot_id": read_file("/proc/sys/kernel/random/boot_id").strip(),
        "checks": sandbox.checks,
        "time_ns": sandbox.released_ns,
    }


def reap() -> None:
    """Reaps exited children. None can be alive."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main(sys.argv[1])
