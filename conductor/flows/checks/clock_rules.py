"""Rules for clocks and retries: durations have limits, and an attempt is lost only after its agent has surely ended."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from conductor.config import LEASE_MARGIN_SECONDS
from conductor.flows.language.problems import Problems
from conductor.v1 import flow_service_pb2

AgentWork = flow_service_pb2.AgentWork

MAX_ATTEMPTS = 10
MAX_RETRIES = 10
MAX_TIMEOUT_SECONDS = 24 * 3600
MAX_ORPHAN_SECONDS = 3600
MAX_PAUSE_SECONDS = 3600
MAX_RUN_SECONDS = 30 * 24 * 3600
NANOS = 1_000_000_000

_STEP_CLOCKS = ("timeout", "idle_timeout", "first_output_timeout", "queue_timeout", "lost_after")
_COUNTS = ("infrastructure", "rate_limit", "hang", "schema", "agent")


def judge_run_clock(flow: flow_service_pb2.Flow, problems: Problems) -> None:
    """Adds the problems of the run's clock."""
    judge_duration(flow, "timeout", "timeout", MAX_RUN_SECONDS, problems)


def judge_clocks(agent: AgentWork, where: str, problems: Problems) -> None:
    """Adds the problems of a step's clocks and retries."""
    for name in _STEP_CLOCKS:
        judge_duration(agent, name, f"{where}.{name}", MAX_TIMEOUT_SECONDS, problems)
    judge_duration(agent, "orphan_timeout", f"{where}.orphan_timeout", MAX_ORPHAN_SECONDS, problems)
    _judge_lease(agent, where, problems)
    if not 0 <= agent.max_attempts <= MAX_ATTEMPTS:
        problems.add(f"{where}.max_attempts", f"must be 1 to {MAX_ATTEMPTS}, not {agent.max_attempts}")
    if agent.on_lost not in AgentWork.OnLost.values():
        problems.add(f"{where}.on_lost", "must be ON_LOST_RETRY or ON_LOST_FAIL")
    for name in _COUNTS:
        number = getattr(agent.retries, name)
        if not 0 <= number <= MAX_RETRIES:
            problems.add(f"{where}.retries.{name}", f"must be 0 to {MAX_RETRIES}, not {number}")
    for name in ("first_pause", "longest_pause"):
        judge_duration(agent.retries, name, f"{where}.retries.{name}", MAX_PAUSE_SECONDS, problems)


def _judge_lease(agent: AgentWork, where: str, problems: Problems) -> None:
    if agent.may_overlap or not agent.HasField("lost_after"):
        return
    lost_after = _seconds(agent.lost_after)
    orphan = _seconds(agent.orphan_timeout) if agent.HasField("orphan_timeout") else 0.0
    if lost_after <= LEASE_MARGIN_SECONDS or lost_after < orphan + LEASE_MARGIN_SECONDS:
        lives = (
            f"the agent lives {orphan:g} s without its conductor (orphan_timeout)" if orphan else "the agent must end"
        )
        least = f"{'at least' if orphan else 'more than'} {orphan + LEASE_MARGIN_SECONDS:g} s"
        problems.add(
            f"{where}.lost_after",
            f"is {lost_after:g} s, but {lives} and needs up to {LEASE_MARGIN_SECONDS:g} s to end: give {least}, "
            "or allow two at once with may_overlap: true",
        )


def judge_duration(message: Message, name: str, where: str, most: int, problems: Problems) -> None:
    """Adds the problem of a duration that is given and has no sense, or is too long."""
    if not message.HasField(name):
        return
    duration = getattr(message, name)
    # A duration without a form in JSON could not be stored with the run.
    if not -NANOS < duration.nanos < NANOS or duration.seconds * duration.nanos < 0:
        problems.add(
            where,
            f"is not a duration: its nanos are {duration.nanos}, and must have the sign of its seconds and at most {NANOS - 1}",
        )
        return
    seconds = _seconds(duration)
    if not 0 < seconds <= most:
        problems.add(where, f"must be more than 0 and at most {_told(most)}, not {_told(seconds)}")


def _seconds(duration: Duration) -> float:
    # Rounded to microseconds, as in plans; ToTimedelta raises beyond its range.
    return round(duration.seconds + duration.nanos / 1e9, 6)


def _told(seconds: float) -> str:
    """Returns a time as a flow writes it: in days or hours where it is whole ones."""
    for unit, length in (("d", 86_400), ("h", 3_600)):
        if seconds and seconds % length == 0 and (unit == "h" or seconds > length):
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:.10g} s"
