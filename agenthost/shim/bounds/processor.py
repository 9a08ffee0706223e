"""Keeps an attempt from crowding the host out of the processors: by a control group, else by a look every 250 ms.

Niceness alone does not: it divides time within a session, and each `setsid` makes another one with a full share. An ordinary user
may lower the share of ten sessions a second, all programs of that user together. So a crowd gets one processor, for as long as it
is one; the filter keeps it from leaving.
"""

from __future__ import annotations

import contextlib
import math
import os

from agenthost.shim.bounds.memory import Bound
from agenthost.shim.inspection import descendants
from agenthost.shim.kernel import now, read_file

LOOK_SECONDS = 0.25
LEAST_CROWD = 3  # busy threads; a crowd has more of them than there are processors
CALM_LOOKS = 8  # until a crowd that calmed down has all processors again
STATE, THREADS = 0, 17  # of /proc/PID/stat, after the name


class Share:
    """The share of the processors that one attempt has."""

    def __init__(self, bound: Bound, niceness: int) -> None:
        self.bound, self.niceness = bound, niceness
        self.processors = sorted(os.sched_getaffinity(0))
        self.next_look = now()
        self.calm = CALM_LOOKS  # looks since there was a crowd

    def give_way(self, agent: int) -> None:
        """Lowers the agent's priority, and that of all that it starts, below daemon, gateway and the shim.

        The agent has a session of its own. Some kernels divide time between sessions and pass over the niceness of their
        processes: there the session's niceness counts. Where memory runs out, the kernel ends the agent before the host.
        """
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, agent, self.niceness)
        for file, value in (("autogroup", self.niceness), ("oom_score_adj", 500)):
            with contextlib.suppress(OSError), open(f"/proc/{agent}/{file}", "w") as open_file:
                open_file.write(str(value))

    def described(self) -> str:
        """Returns the bound in words."""
        if self.bound.has_share:
            return f"processor: the share of one process at niceness {self.niceness}, by a control group"
        if len(self.processors) > 1:
            return f"processor: one where it has a crowd of busy threads, looked at every {LOOK_SECONDS * 1000:g} ms"
        return f"processor: niceness {self.niceness}; no control group, one processor: many sessions of an agent slow the host"

    def look(self, first: int) -> None:
        """Confines a crowd to one processor, and what is calm to none."""
        self.next_look = now() + LOOK_SECONDS * (0.5 + os.urandom(1)[0] / 256)  # no agent may rest just then
        if self.bound.has_share or len(self.processors) == 1:
            self.next_look = math.inf
            return
        inside = [first, *descendants(first)]
        is_crowd = sum(map(busy_threads, inside)) > max(LEAST_CROWD, len(self.processors))
        self.calm = 0 if is_crowd else self.calm + 1
        if is_crowd:
            confine(inside, self.processors[-1:])
        elif self.calm == CALM_LOOKS:
            confine(inside, self.processors)


def busy_threads(pid: int) -> int:
    """Returns how many threads of a process run, or wait for a processor."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        fields = read_file(f"/proc/{pid}/stat").rpartition(")")[2].split()
        if int(fields[THREADS]) == 1:
            return int(fields[STATE] == "R")
        return sum(map(_is_busy, (f"/proc/{pid}/task/{thread}" for thread in os.listdir(f"/proc/{pid}/task"))))
    return 0


def _is_busy(task: str) -> bool:
    with contextlib.suppress(OSError, IndexError):
        return read_file(f"{task}/stat").rpartition(")")[2].split()[STATE] == "R"
    return False


def confine(pids: list[int], processors: list[int]) -> None:
    """Lets processes, and what they start from now on, run on these processors alone."""
    for pid in pids:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(int(thread), processors)
