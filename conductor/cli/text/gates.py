"""Gates in words: a line for each, the decisions that it takes, and the commands to type. Pure text."""

from collections.abc import Iterator

from conductor.cli.text.following import completed
from conductor.cli.text.names import short
from conductor.cli.text.wording import elapsed
from conductor.v1 import gate_service_pb2
from conductor.v1.flow_service_pb2 import GateWork
from servicekit.printing.terminal_text import one_line, printable

Gate = gate_service_pb2.Gate
LONGEST_TITLE = 200
# What is shown of a gate among others.
FIRST_LINES = 10
LOOKS = {
    Gate.STATE_PENDING: ("◆", "yellow"),
    Gate.STATE_APPROVED: ("✔", "green"),
    Gate.STATE_REJECTED: ("✘", "red"),
    Gate.STATE_EXPIRED: ("✘", "red"),
    Gate.STATE_SUPERSEDED: ("■", "yellow"),
}


def gate_path(gate: Gate) -> str:
    """Returns `RUN/GATE`, which commands take for a gate."""
    return f"{gate.name.split('/')[1]}/{short(gate.name)}"


def gate_state(gate: Gate) -> str:
    """Returns `pending` for STATE_PENDING."""
    return Gate.State.Name(gate.state).removeprefix("STATE_").lower()


def decision_word(decision: "GateWork.Decision.ValueType") -> str:
    """Returns `approve` for DECISION_APPROVE."""
    return GateWork.Decision.Name(decision).removeprefix("DECISION_").lower()


def gate_line(gate: Gate, now: float) -> str:
    """Returns `◆ RUN/plan-1  Approve the plan?  waits for 2 min 05 s`, or how it was decided."""
    glyph, _ = LOOKS.get(gate.state, ("?", ""))
    return "  ".join((f"{glyph} {gate_path(gate)}", one_line(gate.title, LONGEST_TITLE), *_facts(gate, now)))


def _facts(gate: Gate, now: float) -> Iterator[str]:
    if gate.state == Gate.STATE_PENDING:
        yield f"waits for {elapsed(now - gate.create_time.ToNanoseconds() / 1e9)}"
        if gate.HasField("expire_time"):
            yield f"expires in {elapsed(gate.expire_time.ToNanoseconds() / 1e9 - now)}"
        return
    yield decided(gate)


def decided(gate: Gate) -> str:
    """Returns `approve by ann: looks right`, or the state of a gate without a decision."""
    if not gate.decision:
        return gate_state(gate)
    who = f" by {_decider(gate)}" if gate.resolver or gate.resolved_by else ""
    why = f": {one_line(gate.comment, 500)}" if gate.comment else ""
    return f"{decision_word(gate.decision)}{who}{why}"


def _decider(gate: Gate) -> str:
    """Returns `token:ann`, or `ann (loopback)` for a name that nothing proves."""
    if not gate.resolver or gate.resolver == gate.resolved_by:
        return one_line(gate.resolved_by, 100)
    return one_line(gate.resolver, 100) + (f" ({one_line(gate.resolved_by, 100)})" if gate.resolved_by else "")


def asks(gate: Gate) -> str:
    """Returns `waits for a decision: Approve the plan?`."""
    return f"waits for a decision: {one_line(gate.title, LONGEST_TITLE)}"


def first_commands(gate: Gate) -> tuple[str, str]:
    """Returns the commands to type first: to read what a pending gate shows, and to let the work go on."""
    path = gate_path(gate)
    return completed(f"read it:  conductor gates {path}"), completed(f"go on:    conductor approve {path}")


def shown_lines(gate: Gate, *, whole: bool) -> Iterator[str]:
    """Returns what the person reads, or its first lines and how to see the others."""
    lines = printable(gate.show).rstrip().split("\n")
    yield from lines if whole else lines[:FIRST_LINES]
    if not whole and len(lines) > FIRST_LINES:
        more = "1 more line" if len(lines) == FIRST_LINES + 1 else f"{len(lines) - FIRST_LINES} more lines"
        yield completed(f"… {more}:  conductor gates {gate_path(gate)}")


def commands(gate: Gate) -> list[str]:
    """Returns the commands that decide a pending gate."""
    path, taken = gate_path(gate), {decision_word(decision) for decision in gate.decisions}
    named = [
        ("approve", "go on:", f"conductor approve {path}"),
        ("retry", "try it again:", f"conductor approve {path} --retry"),
        ("edit", "go on with another text:", f"conductor approve {path} --edit TEXT"),
        ("skip", "leave it out:", f"conductor approve {path} --skip"),
        ("reject", "reject it:", f"conductor reject {path}"),
    ]
    return [completed(f"{what:<24}  {command}") for name, what, command in named if name in taken]
