"""Checks what a Start asks for against what this host allows. A request can only narrow the host's policy.

Pure: other modules ask whether the agent exists, the snapshot is here and a slot is free.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from agenthost.errors import Violation

# A step's id is a path of names and indexes, joined by dots: at most 90 characters.
_NAME = r"[a-z][a-z0-9_]{0,39}"
_STEP = rf"(?=[^-]{{1,90}}-){_NAME}(?:\.(?:{_NAME}|0|[1-9][0-9]*))*"
# Folders are named by its hash, so it need not fit file names; but it must be safe to show in logs.
EXECUTION_ID = re.compile(rf"[a-z0-9]{{26}}-{_STEP}-[1-9][0-9]{{0,5}}")
# What hosts of the first version did not take.
FEATURES = ("path_ids", "turns", "quiet")
MAX_TURNS = 100
SNAPSHOT_ID = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of an attempt, in seconds and bytes."""

    orphan_timeout_seconds: float = 600.0
    timeout_seconds: float = 1800.0
    idle_timeout_seconds: float = 600.0
    first_output_timeout_seconds: float = 600.0
    cancel_grace_seconds: float = 2.0
    max_output_bytes: int = 32 * 1024 * 1024
    max_answer_bytes: int = 2 * 1024 * 1024
    memory_bytes: int = 2 * 1024 * 1024 * 1024  # of all its processes together


# The policy of a host whose configuration sets none.
WIDEST = Limits(
    orphan_timeout_seconds=3600.0,
    timeout_seconds=24 * 3600.0,
    idle_timeout_seconds=24 * 3600.0,
    first_output_timeout_seconds=24 * 3600.0,
    cancel_grace_seconds=60.0,
    max_output_bytes=1024 * 1024 * 1024,
    max_answer_bytes=16 * 1024 * 1024,
)
# The most that an operator may allow; memory depends on the machine.
HIGHEST = replace(WIDEST, memory_bytes=1024**4)
LONGEST_LOADING_SECONDS = 600.0
LEAST_MEMORY_BYTES = 64 * 1024 * 1024  # no sandbox starts with less


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that a Start may set, and the pattern that it must match as a whole."""

    name: str
    pattern: re.Pattern[str]
    default: str


@dataclass(frozen=True, slots=True)
class Order:
    """The content of a Start. `limits` has the defaults filled in."""

    execution: str
    agent: str
    prompt: str
    snapshot: str
    parameters: Mapping[str, str]
    limits: Limits
    turns: int = 1  # that the agent may take in one process
    loading_seconds: float = 0.0  # that the model's server may take to load the model
    traceparent: str = ""  # of the attempt's span, where its run has a trace

    @property
    def has_turns(self) -> bool:
        """Returns whether further prompts may follow the first."""
        return self.turns > 1

    @property
    def granted(self) -> Limits:
        """Returns the limits that the attempt gets: loading a model has its time beside that of the first output."""
        first_output = self.limits.first_output_timeout_seconds + min(self.loading_seconds, LONGEST_LOADING_SECONDS)
        return replace(self.limits, first_output_timeout_seconds=first_output)


def defaults_within(widest: Limits) -> Limits:
    """Returns the limits of an order that asks for none: the defaults within the policy; memory is the policy's."""
    default = replace(Limits(), memory_bytes=widest.memory_bytes)
    return Limits(*(min(getattr(default, name), getattr(widest, name)) for name in Limits.__slots__))


def check_execution_id(execution: str, field: str) -> Iterator[Violation]:
    """Yields the faults of an execution's id."""
    if not EXECUTION_ID.fullmatch(execution):
        yield Violation(
            field,
            "must be run-step-attempt: 26 characters a-z and 0-9, a step such as look or angles.3.look, and a number",
        )


def check_order(order: Order, widest: Limits, max_prompt_bytes: int) -> Iterator[Violation]:
    """Yields all faults of an order, those of its parameters aside."""
    yield from check_execution_id(order.execution, "start.execution")
    if not order.agent:
        yield Violation("start.agent", "is required: GetHost lists the agents")
    if not SNAPSHOT_ID.fullmatch(order.snapshot):
        yield Violation("start.snapshot", "must be a commit id of 40 hexadecimal digits")
    size = len(order.prompt.encode())
    if size > max_prompt_bytes:
        yield Violation("start.prompt", f"has {size} bytes; at most {max_prompt_bytes} are taken")
    if not 1 <= order.turns <= MAX_TURNS:
        yield Violation("start.turns", f"must be 0 to {MAX_TURNS}; it is {order.turns}")
    yield from _check_limits(order.limits, widest)


def _check_limits(limits: Limits, widest: Limits) -> Iterator[Violation]:
    for name in Limits.__slots__:
        asked, allowed = getattr(limits, name), getattr(widest, name)
        field = f"start.{name.removesuffix('_seconds')}"
        if not 0 < asked <= allowed:
            yield Violation(
                field, f"must be above 0 and at most {allowed:g}, which is this host's policy; it is {asked:g}"
            )
        elif name == "memory_bytes" and asked < LEAST_MEMORY_BYTES:
            yield Violation(field, f"must be at least {LEAST_MEMORY_BYTES}: no sandbox starts with less")


def check_parameters(given: Mapping[str, str], declared: tuple[Parameter, ...]) -> Iterator[Violation]:
    """Yields parameters that the agent does not declare, and values that do not match."""
    known = {parameter.name: parameter for parameter in declared}
    for name, value in sorted(given.items()):
        field = f"start.parameters[{name}]"
        if name not in known:
            yield Violation(field, f"the agent has no such parameter; it has {', '.join(sorted(known)) or 'none'}")
        elif "\0" in value:
            yield Violation(field, "must not hold NUL: no argument, variable or file of an agent can")
        elif not known[name].pattern.fullmatch(value):
            yield Violation(field, f"must match {known[name].pattern.pattern}")


def with_defaults(given: Mapping[str, str], declared: tuple[Parameter, ...]) -> dict[str, str]:
    """Returns every declared parameter with its value."""
    return {parameter.name: given.get(parameter.name, parameter.default) for parameter in declared}
