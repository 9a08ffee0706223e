"""Judges how an attempt ended, from what the shim saw and what the agent said. One table, no IO.

A changed snapshot outweighs everything; then what the host did to the agent. Then the gateway's book counts, and never the agent's
exit code or words: where the newest answer of its model was an error, a limit or broke off, that is the reason, even of an agent
that left in order. Trouble that was followed by a better answer does not count. Then how the agent left; and an agent that left in
order but said nothing has failed all the same.

An attempt of several turns ends as its last turn did, if the agent left between two turns, or was told that none follows: how it
leaves then tells nothing of what it was asked for. Only a changed snapshot and damaged files outweigh that.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from agenthost.core.admission.order import Limits
from agenthost.core.models.ending import failure_of_model, kept_back
from agenthost.core.models.metering import ModelUse
from agenthost.core.output.agent_output import EMPTY_OUTPUT, TURN_FAILED, Summary
from agenthost.core.output.report import Turn
from agenthost.core.trouble import AGENT, HANG, HUMAN_REQUIRED, INFRASTRUCTURE
from agenthost.core.verdict import Outcome, Verdict


class Cause(StrEnum):
    """Why the process ended, as the shim saw it."""

    EXITED = "exited"
    CLOSED = "closed"  # it did not leave after its last turn
    CANCELLED = "cancelled"
    HOST_STOPPED = "host_stopped"
    TIMEOUT = "timeout"
    IDLE_TIMEOUT = "idle_timeout"
    FIRST_OUTPUT_TIMEOUT = "first_output_timeout"
    ORPHANED = "orphaned"
    OUTPUT_TOO_LARGE = "output_too_large"
    MEMORY_EXCEEDED = "memory_exceeded"
    DISK_FULL = "disk_full"
    FILES_DAMAGED = "files_damaged"
    SANDBOX_REFUSED = "sandbox_refused"
    SET_UP_INTERRUPTED = "set_up_interrupted"
    SANDBOX_KILLED = "sandbox_killed"
    SNAPSHOT_CHANGED = "snapshot_changed"
    SHIM_LOST = "shim_lost"


@dataclass(frozen=True, slots=True)
class Ending:
    """The known facts when the process has ended. `detail` is the shim's message, or how the snapshot changed."""

    cause: Cause
    exit_code: int | None = None
    signal: int | None = None
    detail: str = ""
    elapsed_seconds: float = 0.0
    snapshot_changed: bool = False


# Texts name the limit that was reached: they are formatted with the attempt's limits.
_STOPPED = {
    Cause.CANCELLED: Verdict(Outcome.CANCELLED, "CANCELLED", "The attempt was cancelled.", INFRASTRUCTURE),
    Cause.HOST_STOPPED: Verdict(
        Outcome.FAILED,
        "HOST_STOPPED",
        "The host was stopped in a way that ends its agents, too: by Ctrl-C, or by its options. SIGTERM alone lets them go on.",
        INFRASTRUCTURE,
    ),
    Cause.TIMEOUT: Verdict(
        Outcome.TIMED_OUT,
        "STEP_TIMEOUT",
        "The attempt reached its wall time of {limits.timeout_seconds:g} s. Give the step a longer timeout or less to do.",
        AGENT,
    ),
    Cause.IDLE_TIMEOUT: Verdict(
        Outcome.TIMED_OUT,
        "IDLE_TIMEOUT",
        "The agent wrote nothing for {limits.idle_timeout_seconds:g} s, its idle_timeout. Its log may show what it waited for; if "
        "it works in silence, give the step a longer idle_timeout.",
        HANG,
    ),
    Cause.FIRST_OUTPUT_TIMEOUT: Verdict(
        Outcome.TIMED_OUT,
        "FIRST_OUTPUT_TIMEOUT",
        "The agent wrote nothing in its first {limits.first_output_timeout_seconds:g} s, its first_output_timeout. Check that its "
        "model answers, and that the agent starts.",
        HANG,
    ),
    Cause.ORPHANED: Verdict(
        Outcome.FAILED,
        "ORPHANED",
        "No conductor was attached for {limits.orphan_timeout_seconds:g} s, its orphan_timeout, so the host ended the agent.",
        INFRASTRUCTURE,
    ),
    Cause.OUTPUT_TOO_LARGE: Verdict(
        Outcome.FAILED, "OUTPUT_TOO_LARGE", "The agent wrote more than an attempt may, so the host ended it.", AGENT
    ),
    Cause.MEMORY_EXCEEDED: Verdict(
        Outcome.FAILED,
        "MEMORY_EXCEEDED",
        "The agent took more memory than an attempt may, so the host ended it.",
        AGENT,
    ),
    Cause.DISK_FULL: Verdict(
        Outcome.FAILED,
        "HOST_DISK_FULL",
        "The host's disk was full, so the host ended the agent; its output so far is kept. Make room on that host.",
        INFRASTRUCTURE,
    ),
    Cause.FILES_DAMAGED: Verdict(
        Outcome.FAILED,
        "HOST_FILES_DAMAGED",
        "Files of this attempt were changed on the host's disk, so the agent's output cannot be read to its end. Try again, and "
        "find out which process writes into the host's data directory.",
        INFRASTRUCTURE,
    ),
    Cause.SANDBOX_REFUSED: Verdict(
        Outcome.REFUSED,
        "SANDBOX_REFUSED",
        "The sandbox could not be set up, so nothing ran. `agenthost doctor` shows why.",
        HUMAN_REQUIRED,
    ),
    Cause.SET_UP_INTERRUPTED: Verdict(
        Outcome.REFUSED,
        "HOST_SETUP_INTERRUPTED",
        "The sandbox was killed, or was too slow, before it was ready, so nothing ran. Try again; if it happens again, "
        "find out what kills processes on that host, or what makes it so slow.",
        INFRASTRUCTURE,
    ),
    Cause.SANDBOX_KILLED: Verdict(
        Outcome.FAILED,
        "HOST_SANDBOX_KILLED",
        "A process on the host killed the sandbox, and the agent ended with it. Try again; if it happens again, find out what "
        "kills processes on that host.",
        INFRASTRUCTURE,
    ),
    Cause.SNAPSHOT_CHANGED: Verdict(
        Outcome.REFUSED,
        "SNAPSHOT_CHANGED",
        "The snapshot changed on the host's disk before the agent was released, so nothing ran. Try again: it is pushed again. "
        "Find out which process writes into the host's data directory.",
        INFRASTRUCTURE,
    ),
    Cause.SHIM_LOST: Verdict(
        Outcome.FAILED,
        "SHIM_LOST",
        "The attempt's shim was killed, and the agent ended with it. Try again.",
        INFRASTRUCTURE,
    ),
}

_CLOCKS = frozenset({Cause.TIMEOUT, Cause.IDLE_TIMEOUT, Cause.FIRST_OUTPUT_TIMEOUT})
# Between two turns an agent may leave by itself, and its silence is no hang.
_BETWEEN_TURNS = frozenset({Cause.EXITED, Cause.IDLE_TIMEOUT, Cause.FIRST_OUTPUT_TIMEOUT})


def judge(ending: Ending, summary: Summary, limits: Limits, use: ModelUse | None = None) -> Verdict:
    """Returns how the attempt ended, and what to do about it. `use` is the gateway's count of requests to its model."""
    detail = f" ({ending.detail.rstrip('.')})" if ending.detail else ""
    if ending.snapshot_changed:
        return Verdict(
            Outcome.FAILED,
            "READ_ONLY_VIOLATION",
            f"The snapshot changed while the agent ran, so nothing that it says can be trusted{detail}. It is pushed again for the "
            "next attempt; find out which process writes into the host's data directory.",
            AGENT,
        )
    if use and use.armed and ending.cause in _CLOCKS and (found := failure_of_model(use, None)):
        return found  # the gateway refused all that it asked: what it waited for was its model
    is_by_turn = _is_by_turn(ending.cause, summary)
    if not is_by_turn and (stopped := _STOPPED.get(ending.cause)):
        return replace(stopped, message=stopped.message.format(limits=limits) + detail)
    failure = _failure_of_turn(summary) if is_by_turn else _failure_of_agent(ending, summary)
    if failure and summary.malformed:
        unread = (
            f"{failure.message.partition('. ')[0].rstrip('.')}. Unread of its output: {'; '.join(summary.malformed)}."
        )
        failure = replace(failure, message=unread)
    if use and (found := failure_of_model(use, failure)):
        return found
    if use and failure and use.kept_back:
        return replace(failure, message=f"{failure.message} {kept_back(use)}")
    return failure or Verdict(Outcome.SUCCEEDED)


def _is_by_turn(cause: Cause, summary: Summary) -> bool:
    """Returns whether the last turn says how the attempt ended, and not the way in which the agent left."""
    if summary.last_turn is None or summary.is_in_turn or cause is Cause.FILES_DAMAGED:
        return False
    return summary.is_closed or cause in _BETWEEN_TURNS


def _failure_of_turn(summary: Summary) -> Verdict | None:
    """Returns the failure of the last turn; None when it succeeded."""
    match summary.last_turn:
        case Turn(reason=reason, number=number) if reason == TURN_FAILED:
            text = f"The agent says that its turn {number} failed. Its log may say why."
            return Verdict(Outcome.FAILED, TURN_FAILED, text, AGENT)
        case Turn(reason=reason, number=number) if reason:
            return Verdict(Outcome.FAILED, reason, f"The agent ended its turn {number} without an answer.", AGENT)
        case _:
            return None


def _failure_of_agent(ending: Ending, summary: Summary) -> Verdict | None:
    """Returns the failure of an agent that ended by itself; None when it succeeded."""
    if ending.signal is not None:
        return Verdict(Outcome.FAILED, "AGENT_KILLED", f"The agent was killed by signal {ending.signal}.", AGENT)
    if ending.exit_code != 0:
        text = f"The agent exited with code {ending.exit_code}. Its log may say why."
        return Verdict(Outcome.FAILED, "AGENT_EXIT_NONZERO", text, AGENT)
    if not summary.has_answer and not summary.result_json:
        return Verdict(Outcome.FAILED, EMPTY_OUTPUT, "The agent exited with code 0 but gave no answer.", AGENT)
    return None
