"""Judges a failed set-up: the machine refused the sandbox, or it was interrupted by something that says nothing of the machine.

A person must mend a refusal. An interrupted set-up is tried again, and each attempt is set up and verified from the beginning: so
nothing is released wrongly, whatever is judged here. A sandbox was interrupted where

- it was not ready in time: the machine was slow or asleep, or a process of it was stopped; or
- it ended by a signal that one process sends to another, not one of the kernel for a faulty program (SIGSYS, SIGSEGV, …).

It was refused all the same where there is any message about it, or where the kernel killed it for more memory than the attempt
may take. A sandbox that exits without a signal and without a message refused as well: so does a program that is no good.
"""

from __future__ import annotations

import errno
import os
import signal

from agenthost.shim.kernel import Interrupted, SnapshotChanged

FROM_OTHERS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, signal.SIGTERM})
DEADLY_SIGNALS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 24, 25, 31})


def signal_in(wait_status: int | None) -> int:
    """Returns the signal that ended bubblewrap or, as 128 + number, what was in it; 0 when none is known."""
    if wait_status is None:
        return 0
    if os.WIFSIGNALED(wait_status):
        return os.WTERMSIG(wait_status)
    number = os.WEXITSTATUS(wait_status) - 128
    return number if number in DEADLY_SIGNALS else 0


def judge_setup_failure(error: Exception, *, ended_by: int, has_words: bool, was_starved: bool) -> str:
    """Returns the cause of an attempt that was not released. `ended_by` is the signal that ended its sandbox before we did."""
    if isinstance(error, SnapshotChanged):
        return "snapshot_changed"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "disk_full"
    was_interrupted = isinstance(error, Interrupted) or ended_by in FROM_OTHERS
    return "set_up_interrupted" if was_interrupted and not (has_words or was_starved) else "sandbox_refused"


def describe_end(wait_status: int | None, *, was_starved: bool) -> str:
    """Returns how a sandbox ended that gave no message; empty where it had not ended."""
    if wait_status is None:
        return ""
    number = signal_in(wait_status)
    end = f"signal {number}" if number else f"exit code {os.WEXITSTATUS(wait_status)}"
    return f" ({end}, out of memory)" if was_starved else f" ({end})"
