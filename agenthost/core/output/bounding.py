"""Bounds the frames of an attempt by number and rate: an agent may say a million things that never merge.

Each cut of the spool keeps so many sayings (tool calls, results, notices), and so does the attempt. What is above is left out,
and a notice says how much. Text is never left out: where a cut has too many frames, its texts are joined by channel, and of its
usages the last is kept. The rule looks at one cut at a time, so a replay along the same cuts makes the same frames.
"""

from collections.abc import Iterator, Sequence

from agenthost.core.output.frames import cut_text
from agenthost.core.output.report import (
    Channel,
    Notice,
    NoticeKind,
    Output,
    Report,
    ToolCall,
    ToolResult,
    Usage,
)

MAX_SAYINGS = 20_000
MAX_SAYINGS_PER_CUT = 512
MAX_FRAMES_PER_CUT = 1024

_SAYINGS = (ToolCall, ToolResult, Notice)


class Bounding:
    """Counts what an attempt has said so far."""

    def __init__(self) -> None:
        self._room = MAX_SAYINGS
        self._is_told_of_the_limit = False

    def bound(self, reports: Sequence[Report]) -> list[Report]:
        """Returns the reports of a cut, as few as its bounds need."""
        sayings = sum(isinstance(report, _SAYINGS) for report in reports)
        most = min(self._room, MAX_SAYINGS_PER_CUT)
        if sayings > most:
            reports = list(self._without(reports, most, sayings - most))
        self._room -= min(sayings, most)
        return list(_joined(reports)) if len(reports) > MAX_FRAMES_PER_CUT else list(reports)

    def _without(self, reports: Sequence[Report], most: int, left_out: int) -> Iterator[Report]:
        """Yields the reports with so many sayings at most; the first one above is replaced with a notice."""
        kept = 0
        for report in reports:
            if not isinstance(report, _SAYINGS):
                yield report
                continue
            kept += 1
            if kept <= most:
                yield report
            elif kept == most + 1 and not self._is_told_of_the_limit:
                yield Notice(NoticeKind.MALFORMED_OUTPUT, self._tell(most, left_out))

    def _tell(self, most: int, left_out: int) -> str:
        if most == self._room:
            self._is_told_of_the_limit = True
            return f"the agent made more than {MAX_SAYINGS} tool calls, results and notices; from here on they are left out"
        return f"{left_out} tool calls, results and notices came at once after {most} others, and are left out"


def _joined(reports: Sequence[Report]) -> Iterator[Report]:
    """Yields the reports with the texts of each channel joined, up to the next turn's beginning or end."""
    others: list[Report] = []
    texts: dict[Channel, list[str]] = {}
    usage: Usage | None = None
    for report in reports:
        match report:
            case Output(channel=channel, text=text):
                texts.setdefault(channel, []).append(text)
            case Usage():
                usage = report
            case ToolCall() | ToolResult() | Notice():
                others.append(report)
            case _:
                yield from _stretch(others, texts, usage)
                yield report
                others, texts, usage = [], {}, None
    yield from _stretch(others, texts, usage)


def _stretch(others: list[Report], texts: dict[Channel, list[str]], usage: Usage | None) -> Iterator[Report]:
    for channel, parts in texts.items():
        yield from cut_text(channel, "".join(parts))
    yield from others
    if usage is not None:
        yield usage
