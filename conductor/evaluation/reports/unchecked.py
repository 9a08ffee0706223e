"""Lists what a run did not check: steps that failed, were left out or stopped, answers that are not whole, and notes of limits.

Every report closes with it, whatever its form. It is pure, and works on the JSON of any version.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple


class Unchecked(NamedTuple):
    """The labels of the steps that it is about, and a clause."""

    label: str
    text: str


MAX_LABELS = 6


def unchecked(values: Mapping[str, Any]) -> list[Unchecked]:
    """Returns everything that the run did not check: each step of the flow, then what is alike of others, then the notes."""
    steps = values["steps"]
    told = [Unchecked(step["label"], text) for step in steps if not step.get("parent") for text in _of_step(step)]
    if not values.get("coverage"):  # what was judged tells it
        told += [Unchecked(step["label"], f": {text}") for step in steps for text in _of_absent(step)]
    alike: dict[str, list[str]] = {}
    for step in steps:
        for text in _of_step(step) if step.get("parent") else ():
            alike.setdefault(text, []).append(step["label"])
    labels = {step["id"]: step["label"] for step in steps}
    for note in _innermost(values["notes"], {step["id"]: step.get("parent", "") for step in steps}):
        alike.setdefault(f": {note['text']}", []).append(labels.get(note["step"], note["step"]))
    return told + [_of_several(names, text) for text, names in alike.items()]


def _innermost(notes: Sequence[Mapping[str, Any]], parents: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """Yields notes without those that a step only has from a step inside of it."""
    passed_on = {(outer, note["text"]) for note in notes for outer in _around(note["step"], parents)}
    yield from (note for note in notes if (note["step"], note["text"]) not in passed_on)


def _around(step: str, parents: Mapping[str, str]) -> Iterator[str]:
    while step := parents.get(step, ""):
        yield step


def _of_several(names: list[str], text: str) -> Unchecked:
    more = len(names) - MAX_LABELS
    label = ", ".join(names[:MAX_LABELS]) + (f" and {more} more" if more > 0 else "")
    return Unchecked(
        label, f" were{text.removeprefix(' was')}" if len(names) > 1 and text.startswith(" was ") else text
    )


def _of_absent(step: Mapping[str, Any]) -> Iterator[str]:
    if step["began"] and step.get("absent"):
        yield f"no host can run {', '.join(step['absent'])}, so the panel was asked without"


def _of_step(step: Mapping[str, Any]) -> Iterator[str]:
    """Yields clauses that go on after the step's label."""
    reason = step["reason"] or "no reason was given"
    if step["failure"]:
        when = "failed" if step["began"] else "failed before it began"
        degraded = "; the run went on without it" if step["may_fail"] else ""
        yield f" {when}{degraded}: {step['failure']['message']} ({step['failure']['reason']})"
    elif step["state"] == "cancelled" and step["began"]:
        yield f" was cancelled after it had begun: {reason}"
    elif not step["began"]:
        yield f" was {step['state']}: {reason}"
    if step.get("answer_note") or step["answer_truncated"]:
        yield f" gave an answer that is not whole: {step.get('answer_note') or 'it was longer than its limit'}"
