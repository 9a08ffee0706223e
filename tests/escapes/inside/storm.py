"""Tries all that a hostile agent would. Runs inside the sandbox, with the bait as JSON in its last argument.

Prints a line of JSON per attempt: {"name", "escaped", "detail"}. Each attempt runs in a process of its own, with a time limit,
so that none can spoil another. Run it only where an attempt's success would be a test's failure.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from . import network, privilege, reading, resources, writing
from .table import ATTEMPTS, SECONDS

__all__ = ["ATTEMPTS", "main", "network", "privilege", "reading", "resources", "writing"]


def main() -> None:
    bait = json.loads(sys.argv[-1])
    for name, function in ATTEMPTS.items():
        print(json.dumps({"name": name, **judge(function, bait)}), flush=True)


def judge(function: Callable[[dict[str, Any]], object], bait: dict[str, Any]) -> dict[str, Any]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        signal.alarm(SECONDS)
        try:
            answer = {"escaped": True, "detail": str(function(bait))[:200]}
        except (OSError, MemoryError) as error:
            answer = {"escaped": False, "detail": str(error)[:200]}
        except BaseException as error:
            answer = {"escaped": True, "detail": f"broken: {error!r}"[:200]}
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(pid, 0)[1]
    if said:
        return json.loads(said)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGSYS, signal.SIGKILL, signal.SIGXFSZ):
        return {"escaped": False, "detail": f"killed by signal {os.WTERMSIG(status)}"}
    return {"escaped": True, "detail": f"broken: wait status {status}"}
