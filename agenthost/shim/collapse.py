"""Why a set-up came to nothing: the machine refused the sandbox, or something ended it or held it up that says nothing of that.

A refusal is for a person to mend. What was interrupted is tried again, and each attempt is set up and verified from the beginning:
so nothing is let go that would not have been, whatever is judged here. A sandbox was interrupted where

- it was not ready in time: a slow or sleeping machine, or somebody stopped a process of it; or
- a signal ended it that one process sends to another, as the kernel does not when a program goes wrong (SIGSYS, SIGSEGV, …).

It was refused all the same where anything at all was said about it, or where the kernel had killed for want of the memory that
the attempt may take. Who left by itself, without a signal and without a word, refused as well: so does a program that is no good.
"""

from __future__ import annotations

import errno
import os
import signal

from agenthost.shim.kernel import Interrupted, SnapshotChanged

FROM_OTHERS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, signal.SIGTERM})
DEADLY_SIGNALS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 24, 25, 31})


def signal_in(wait_status: int | None) -> int:
    """The signal that ended bubblewrap or, as 128 + number, what was in it; 0 when none did, as far as is known."""
    if wait_status is None:
        return 0
    if os.WIFSIGNALED(wait_status):
        return os.WTERMSIG(wait_status)
    number = os.WEXITSTATUS(wait_status) - 128
    return number if number in DEADLY_SIGNALS else 0


def judge_collapse(error: Exception, *, ended_by: int, has_words: bool, was_starved: bool) -> str:
    """The cause of an attempt whose agent was not let go. `ended_by`: by what signal the sandbox was, before we ended it."""
    if isinstance(error, SnapshotChanged):
        return "snapshot_changed"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "disk_full"
    was_interrupted = isinstance(error, Interrupted) or ended_by in FROM_OTHERS
    return "set_up_interrupted" if was_interrupted and not (has_words or was_starved) else "sandbox_refused"


def describe_end(wait_status: int | None, *, was_starved: bool) -> str:
    """How a sandbox ended that said nothing of it; nothing where it had not ended."""
    if wait_status is None:
        return ""
    number = signal_in(wait_status)
    end = f"signal {number}" if number else f"exit code {os.WEXITSTATUS(wait_status)}"
    return f" ({end}, for want of memory)" if was_starved else f" ({end})"
