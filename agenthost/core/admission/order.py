"""What a Start asks for, checked against what this host allows. A request can only narrow the host's policy.

Pure: whether the agent exists, the snapshot is here and a place is free is asked elsewhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from agenthost.errors import Violation

# Folders are named by this id's hash, so it may hold what file names may not; it may not hold what logs cannot show.
EXECUTION_ID = re.compile(r"[a-z0-9]{26}-[a-z][a-z0-9_]{0,39}-[1-9][0-9]{0,5}")
SNAPSHOT_ID = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much. Seconds and bytes."""

    orphan_timeout_seconds: float = 600.0
    timeout_seconds: float = 1800.0
    idle_timeout_seconds: float = 600.0
    first_output_timeout_seconds: float = 600.0
    cancel_grace_seconds: float = 2.0
    max_output_bytes: int = 32 * 1024 * 1024
    max_answer_bytes: int = 2 * 1024 * 1024
    memory_bytes: int = 2 * 1024 * 1024 * 1024  # of all its processes together


# What a host allows where its configuration says nothing else.
WIDEST = Limits(
    orphan_timeout_seconds=3600.0,
    timeout_seconds=24 * 3600.0,
    idle_timeout_seconds=24 * 3600.0,
    first_output_timeout_seconds=24 * 3600.0,
    cancel_grace_seconds=60.0,
    max_output_bytes=1024 * 1024 * 1024,
    max_answer_bytes=16 * 1024 * 1024,
)
# What an operator may allow at the most: memory is the machine's own affair.
HIGHEST = replace(WIDEST, memory_bytes=1024**4)
LEAST_MEMORY_BYTES = 64 * 1024 * 1024  # less, and no sandbox comes up


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that a Start may set, and what it must match as a whole."""

    name: str
    pattern: re.Pattern[str]
    default: str


@dataclass(frozen=True, slots=True)
class Order:
    """A Start in plain words. `limits` is what was asked for, with the defaults filled in."""

    execution: str
    agent: str
    prompt: str
    snapshot: str
    parameters: Mapping[str, str]
    limits: Limits


def defaults_within(widest: Limits) -> Limits:
    """What an order gets that asks for nothing: the defaults, or the policy where that is narrower. Memory is the policy's."""
    default = replace(Limits(), memory_bytes=widest.memory_bytes)
    return Limits(*(min(getattr(default, name), getattr(widest, name)) for name in Limits.__slots__))


def check_execution_id(execution: str, field: str) -> Iterator[Violation]:
    """Says what is wrong with an execution's id."""
    if not EXECUTION_ID.fullmatch(execution):
        yield Violation(field, "must be run-step-attempt: 26 characters [a-z0-9], a step [a-z][a-z0-9_]*, a number")


def check_order(order: Order, widest: Limits, max_prompt_bytes: int) -> Iterator[Violation]:
    """Says everything that is wrong with an order, parameters aside."""
    yield from check_execution_id(order.execution, "start.execution")
    if not order.agent:
        yield Violation("start.agent", "is required: GetHost lists the agents")
    if not SNAPSHOT_ID.fullmatch(order.snapshot):
        yield Violation("start.snapshot", "must be a commit id of 40 hexadecimal digits")
    size = len(order.prompt.encode())
    if size > max_prompt_bytes:
        yield Violation("start.prompt", f"has {size} bytes; at most {max_prompt_bytes} are taken")
    yield from _check_limits(order.limits, widest)


def _check_limits(limits: Limits, widest: Limits) -> Iterator[Violation]:
    for name in Limits.__slots__:
        asked, allowed = getattr(limits, name), getattr(widest, name)
        field = f"start.{name.removesuffix('_seconds')}"
        if not 0 < asked <= allowed:
            yield Violation(field, f"must be above 0 and at most {allowed:g}, which is this host's policy")
        elif name == "memory_bytes" and asked < LEAST_MEMORY_BYTES:
            yield Violation(field, f"must be at least {LEAST_MEMORY_BYTES}: less, and no sandbox comes up")


def check_parameters(given: Mapping[str, str], declared: tuple[Parameter, ...]) -> Iterator[Violation]:
    """Says which parameters the agent does not declare, and which values do not match."""
    known = {parameter.name: parameter for parameter in declared}
    for name, value in sorted(given.items()):
        field = f"start.parameters[{name}]"
        if name not in known:
            yield Violation(field, f"the agent has no such parameter; it has {', '.join(sorted(known)) or 'none'}")
        elif not known[name].pattern.fullmatch(value):
            yield Violation(field, f"must match {known[name].pattern.pattern}")


def with_defaults(given: Mapping[str, str], declared: tuple[Parameter, ...]) -> dict[str, str]:
    """Every declared parameter with its value."""
    return {parameter.name: given.get(parameter.name, parameter.default) for parameter in declared}
