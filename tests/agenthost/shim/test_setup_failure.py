import errno
import os
import signal

import pytest

from agenthost.shim.kernel import Interrupted, Refused, SnapshotChanged
from agenthost.shim.setup_failure import FROM_OTHERS, describe_end, judge_setup_failure, signal_in

LATE = Interrupted("the sandbox was not ready within 20 s")
OVER = Refused("the sandbox ended before it was ready, without a message")
GONE = FileNotFoundError(errno.ENOENT, "No such file or directory", "/proc/7/status")
OPEN = Refused("the sandbox was set up, but does not hold: network: none")
KILL, TERM, SYS, SEGV = (int(one) for one in (signal.SIGKILL, signal.SIGTERM, signal.SIGSYS, signal.SIGSEGV))


@pytest.mark.parametrize(
    ("error", "ended_by", "cause"),
    [
        (OVER, KILL, "set_up_interrupted"),
        (OVER, TERM, "set_up_interrupted"),
        (GONE, KILL, "set_up_interrupted"),  # it was gone when it was looked at
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), KILL, "set_up_interrupted"),
        (OPEN, KILL, "set_up_interrupted"),  # of the dead, nothing that is seen counts
        (LATE, 0, "set_up_interrupted"),
        (LATE, KILL, "set_up_interrupted"),
        (OVER, 0, "sandbox_refused"),
        (OVER, SYS, "sandbox_refused"),
        (OVER, SEGV, "sandbox_refused"),
        (GONE, 0, "sandbox_refused"),
        (OPEN, 0, "sandbox_refused"),
        (ValueError("not JSON"), 0, "sandbox_refused"),
        (KeyError("child-pid"), 0, "sandbox_refused"),
        (SnapshotChanged("changed"), 0, "snapshot_changed"),
        (SnapshotChanged("changed"), KILL, "snapshot_changed"),
        (OSError(errno.ENOSPC, "No space left on device"), KILL, "disk_full"),
    ],
)
def test_what_a_signal_from_another_process_ended_or_time_ran_out_for_was_interrupted(
    error: Exception, ended_by: int, cause: str
) -> None:
    """Keeps E2 and I1."""
    assert judge_setup_failure(error, ended_by=ended_by, has_words=False, was_starved=False) == cause


@pytest.mark.parametrize(("has_words", "was_starved"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize(("error", "ended_by"), [(OVER, KILL), (GONE, TERM), (OPEN, KILL), (LATE, 0), (LATE, KILL)])
def test_a_complaint_and_want_of_its_own_memory_make_a_refusal_of_it(
    error: Exception, ended_by: int, *, has_words: bool, was_starved: bool
) -> None:
    """Keeps E2: in doubt a person looks at it."""
    assert (
        judge_setup_failure(error, ended_by=ended_by, has_words=has_words, was_starved=was_starved) == "sandbox_refused"
    )


@pytest.mark.parametrize(
    ("wait_status", "number", "told"),
    [
        (None, 0, ""),
        (KILL, KILL, " (signal 9)"),
        (SEGV | 0x80, SEGV, " (signal 11)"),  # with a core
        ((128 + KILL) << 8, KILL, " (signal 9)"),  # bubblewrap's way to tell of what is inside
        ((128 + SYS) << 8, SYS, " (signal 31)"),
        (1 << 8, 0, " (exit code 1)"),
        (0, 0, " (exit code 0)"),
        (128 << 8, 0, " (exit code 128)"),
        (255 << 8, 0, " (exit code 255)"),
    ],
)
def test_how_a_sandbox_ended_is_read_from_its_wait_status(wait_status: int | None, number: int, told: str) -> None:
    assert signal_in(wait_status) == number
    assert describe_end(wait_status, was_starved=False) == told


def test_what_the_kernel_sends_to_a_program_that_goes_wrong_is_no_other_process_signal() -> None:
    """Keeps E2: a sandbox that a system call filter kills must not be tried for ever."""
    own = ["SIGSYS", "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP", "SIGABRT", "SIGXCPU", "SIGXFSZ", "SIGPIPE"]
    assert not FROM_OTHERS & {signal.Signals[name] for name in own}
    assert os.WTERMSIG(KILL) in FROM_OTHERS
