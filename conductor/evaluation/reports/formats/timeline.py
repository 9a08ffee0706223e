"""The timeline of a run: a row for each step, with the time that it took and the attempts in it, as parts of its width."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_ROWS = 80
MAX_ATTEMPTS = 20
WIDTH = 1000
NARROWEST = 3
TICKS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a row: where it begins and how wide it is, of `WIDTH`."""

    left: int
    width: int
    state: str
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """One step."""

    label: str
    is_child: bool
    state: str
    bar: Bar
    attempts: tuple[Bar, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The rows, the times below them, and how many steps were left out."""

    rows: tuple[Row, ...]
    ticks: tuple[tuple[int, str], ...]
    left_out: int


def timeline(values: Mapping[str, Any]) -> Timeline:
    """Returns the timeline of a run. Reports of former versions hold no times of steps, so theirs has no rows."""
    execution = values["execution"]
    spans = {span["step"]: span for span in execution.get("steps", ()) if span["end"] is not None}
    whole = max([execution["seconds"] or 0.0, 0.1, *(span["end"] for span in spans.values())])
    attempts: dict[str, list[Mapping[str, Any]]] = {}
    for attempt in execution["attempts"]:
        attempts.setdefault(attempt["step"], []).append(attempt)
    rows = [
        _row(step, spans[step["id"]], attempts.get(step["id"], ()), whole)
        for step in values["steps"]
        if step["id"] in spans
    ]
    ticks = tuple((WIDTH * part // TICKS, duration(whole * part / TICKS)) for part in range(TICKS + 1))
    return Timeline(tuple(rows[:MAX_ROWS]), ticks, max(0, len(rows) - MAX_ROWS))


def duration(seconds: float) -> str:
    """Returns a duration as people write it."""
    if seconds < 60:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def _row(step: Mapping[str, Any], span: Mapping[str, Any], attempts: Any, whole: float) -> Row:
    begin, end = span["begin"], span["end"]
    title = f"{step['label']}: {step['state']}, {duration(end - begin)}"
    bars = tuple(_attempts(list(attempts)[:MAX_ATTEMPTS], whole))
    bar = _bar(begin, end, whole, step["state"], title)
    return Row(step["label"], bool(step.get("parent")), step["state"], bar, bars, end - begin)


def _attempts(attempts: list[Mapping[str, Any]], whole: float) -> Iterator[Bar]:
    for attempt in attempts:
        begin, seconds = attempt.get("begin"), attempt["seconds"]
        if begin is not None and seconds is not None:
            title = f"attempt {attempt['number']} by {attempt['agent']} on {attempt['host']}: {attempt['state']}"
            yield _bar(begin, begin + seconds, whole, attempt["state"], f"{title}, {duration(seconds)}")


def _bar(begin: float, end: float, whole: float, state: str, title: str) -> Bar:
    left = min(round(WIDTH * begin / whole), WIDTH - NARROWEST)
    return Bar(left, min(max(round(WIDTH * (end - begin) / whole), NARROWEST), WIDTH - left), state, title)
