"""What a run did not check: steps that failed, were left out or stopped, answers that were not whole, notes of caps and limits.

Every report closes with it, whatever its form. It is pure, and works on the JSON of any version.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Unchecked(NamedTuple):
    """The label of the step that it is about, or of several, and a clause."""

    label: str
    text: str


def unchecked(values: Mapping[str, Any]) -> list[Unchecked]:
    """Returns everything that the run did not check, in the flow's order, then the notes."""
    told = [item for step in values["steps"] for item in _of_step(step)]
    steps: dict[str, list[str]] = {}
    for note in values["notes"]:
        steps.setdefault(note["text"], []).append(note["step"])
    return told + [Unchecked(", ".join(names), text) for text, names in steps.items()]


def _of_step(step: Mapping[str, Any]) -> Iterator[Unchecked]:
    label, reason = step["label"], step["reason"] or "no reason was given"
    if step["failure"]:
        when = "failed" if step["began"] else "failed before it began"
        degraded = " The run went on without it." if step["may_fail"] else ""
        yield Unchecked(label, f"{when}: {step['failure']['message']} ({step['failure']['reason']}){degraded}")
    elif step["state"] == "cancelled" and step["began"]:
        yield Unchecked(label, f"was cancelled after it had begun: {reason}")
    elif not step["began"]:
        yield Unchecked(label, f"was {step['state']}: {reason}")
    if step.get("answer_note") or step["answer_truncated"]:
        yield Unchecked(label, f"gave an answer that is not whole: {step.get('answer_note') or 'it reached its limit'}")
