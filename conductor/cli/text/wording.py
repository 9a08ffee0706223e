"""States, times and counts in words. Pure text; nothing here prints."""

from datetime import datetime

from conductor.cli.text.following import completed
from conductor.v1 import run_service_pb2
from servicekit.printing.terminal_text import one_line, printable

Run, Step = run_service_pb2.Run, run_service_pb2.Step

# Glyph and rich style of each state; the glyphs stay readable without colour.
LONGEST_REPAIR = 200
SHOWN_PATHS = 3  # of those that changed: the report's JSON has more
_STEP_LOOKS = {
    Step.STATE_EXCLUDED: ("·", "dim"),
    Step.STATE_PENDING: ("·", "dim"),
    Step.STATE_READY: ("◌", ""),
    Step.STATE_SKIPPED: ("↷", "dim"),
    Step.STATE_QUEUED: ("◌", "yellow"),
    Step.STATE_RUNNING: ("●", "cyan"),
    Step.STATE_VALIDATING: ("●", "cyan"),
    Step.STATE_WAITING_GATE: ("◆", "yellow"),
    Step.STATE_SUCCEEDED: ("✔", "green"),
    Step.STATE_FAILED: ("✘", "red"),
    Step.STATE_CANCELLED: ("■", "yellow"),
}
_RUN_LOOKS = {
    Run.STATE_QUEUED: ("◌", "yellow"),
    Run.STATE_RUNNING: ("●", "cyan"),
    Run.STATE_PAUSED: ("◆", "yellow"),
    Run.STATE_CANCELLING: ("■", "yellow"),
    Run.STATE_SUCCEEDED: ("✔", "green"),
    Run.STATE_FAILED: ("✘", "red"),
    Run.STATE_CANCELLED: ("■", "yellow"),
}
SETTLED_RUN = frozenset({Run.STATE_SUCCEEDED, Run.STATE_FAILED, Run.STATE_CANCELLED})
SETTLED_STEP = frozenset(
    {Step.STATE_EXCLUDED, Step.STATE_SKIPPED, Step.STATE_SUCCEEDED, Step.STATE_FAILED, Step.STATE_CANCELLED}
)


def step_look(state: "run_service_pb2.Step.State.ValueType") -> tuple[str, str]:
    """Returns glyph and style of a step's state."""
    return _STEP_LOOKS.get(state, ("?", ""))


def run_look(state: "run_service_pb2.Run.State.ValueType") -> tuple[str, str]:
    """Returns glyph and style of a run's state."""
    return _RUN_LOOKS.get(state, ("?", ""))


def step_state(state: "run_service_pb2.Step.State.ValueType") -> str:
    """Returns `running` for STATE_RUNNING."""
    return Step.State.Name(state).removeprefix("STATE_").lower().replace("_", " ")


def turn_state(state: "run_service_pb2.Turn.State.ValueType") -> str:
    """Returns `to repair` for STATE_TO_REPAIR."""
    return run_service_pb2.Turn.State.Name(state).removeprefix("STATE_").lower().replace("_", " ")


def run_state(state: "run_service_pb2.Run.State.ValueType") -> str:
    """Returns `succeeded` for STATE_SUCCEEDED."""
    return Run.State.Name(state).removeprefix("STATE_").lower()


def elapsed(seconds: float) -> str:
    """Returns `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `89 d 23 h`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours:02d} h"


def size(number: int) -> str:
    """Returns `812 bytes`, `1.4 MiB`."""
    for unit, one in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if number >= one:
            return f"{number / one:.1f} {unit}"
    return counted(number, "byte")


def counted(number: int, noun: str) -> str:
    """Returns `1 step`, `2 steps`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def workspace_changes(changes: run_service_pb2.WorkspaceChanges) -> str:
    """Returns the paths of the workspace that changed since it was pinned; empty for none."""
    told = [one_line(changes.note, 300)] if changes.note else []
    if changes.count:
        shown = changes.paths[:SHOWN_PATHS]
        others = changes.count - len(shown)
        named = [one_line(path, 100) for path in shown] + ([f"{others} more"] if others else [])
        told.insert(0, f"{counted(changes.count, 'path')} of the workspace since it was pinned: {', '.join(named)}")
    return "; ".join(told)


def tokens(attempt: run_service_pb2.Attempt) -> str:
    """Returns `1.2k tokens`, or nothing where no count is known."""
    if not attempt.HasField("input_tokens") and not attempt.HasField("output_tokens"):
        return ""
    total = attempt.input_tokens + attempt.output_tokens
    return f"{total / 1000:.1f}k tokens" if total >= 1000 else f"{total} tokens"


def model_use(use: run_service_pb2.ModelUse) -> str:
    """Returns `model small: 4 requests (3 x 200, 1 x 429), 1 without a whole answer, 2 refused by the gateway`."""
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(use.statuses.items()))
    parts = [f"model {one_line(use.model, 80) or '(unnamed)'}: {counted(use.requests, 'request')}"]
    parts[0] += f" ({statuses})" if statuses else ""
    parts += [f"{use.broken} without a whole answer"] if use.broken else []
    parts += [f"{use.refused} refused by the gateway"] if use.refused else []
    parts += [f"not passed on: {one_line(', '.join(use.kept_back), 200)}"] if use.kept_back else []
    return ", ".join(parts)


def findings(counts: run_service_pb2.FindingCounts) -> str:
    """Returns `14 findings, all verified`, or how they differ; and how many answers should hold some that cannot be read."""
    total = counts.verified + counts.moved + counts.placed + counts.missing
    if counts.unread:
        unread = f"the findings of {counted(counts.unread, 'answer')} cannot be read"
        return f"{_judged(counts, total)}; {unread}" if total else unread
    return _judged(counts, total) if total else "no findings"


def _judged(counts: run_service_pb2.FindingCounts, total: int) -> str:
    for number, word in ((counts.verified, "verified"), (counts.placed, "placed")):
        if number == total:
            return f"1 finding, {word}" if total == 1 else f"{total} findings, all {word}"
    parts = [
        (counts.verified, "verified"),
        (counts.moved, "moved"),
        (counts.placed, "placed"),
        (counts.missing, "missing"),
    ]
    return f"{counted(total, 'finding')}: " + ", ".join(f"{number} {word}" for number, word in parts if number)


def disconnected(told: run_service_pb2.Disconnection, now: float) -> str:
    """Returns `alpha disconnected for 12 s, given up in 3 min 05 s`: short enough for a narrow line.

    Of a host that answers it says why that does not help, and what does.
    """
    since = told.disconnected_time.ToNanoseconds() / 1e9
    left = told.lost_time.ToNanoseconds() / 1e9 - now
    end = f"given up in {elapsed(left)}" if left > 0 else "about to be given up"
    host = printable(told.host.removeprefix("hosts/"))
    if told.other_instance:
        return f"{host} came back with another data folder; start it with the one it had before ({end})"
    return f"{host} disconnected for {elapsed(now - since)}, {end}"


def waiting(text: str) -> str:
    """Returns `waits for a slot of gpu0 …` for a sentence that says so itself, and `waits: No host is connected.` for any other."""
    told = completed(text)
    return f"w{told[1:].rstrip('.')}" if told.startswith("Waits for ") else f"waits: {told}"


def said_nothing(seconds: float) -> str:
    """Returns the sentence for a conductor that is connected and silent."""
    return f"the conductor has said nothing for {elapsed(seconds)}"


def no_answer(address: str, patience_seconds: float) -> str:
    """Returns the sentence for an address where no conductor answers: a wrong address is seen in it."""
    return f"no conductor answers at {address}; waiting up to {patience_seconds / 60:.0f} min for it"


def asked_for(run: run_service_pb2.Run, form: str) -> str:
    """Returns the time at which a run was created, in the reader's zone."""
    return datetime.fromtimestamp(run.create_time.seconds).astimezone().strftime(form)


def failure(told: run_service_pb2.Failure) -> str:
    """Returns `REASON: message`."""
    return printable(f"{told.reason}: {told.message}" if told.message else told.reason)


def not_whole(attempt: run_service_pb2.Attempt) -> str:
    """Returns `the answer is not whole: …`, with the reason; a host of an earlier release names none."""
    why = attempt.answer_note or "it was longer than its limit"
    return one_line(f"the answer is not whole: {why}", LONGEST_REPAIR)


def is_cut(attempt: run_service_pb2.Attempt) -> bool:
    """Returns whether the answer is known not to be whole."""
    return bool(attempt.answer_note) or attempt.answer_truncated


def repair(told: run_service_pb2.Repair) -> str:
    """Returns `asked once to repair its answer: …`, with what was wrong with it."""
    return one_line(f"asked once to repair its answer: {told.failure.message}", LONGEST_REPAIR)


def tried_again(message: str) -> str:
    """Rewords a host's advice to try again: a later attempt already did."""
    return message.replace("Try again", "The step was tried again by itself")
