"""The quoted lines of a finding in their file: some lines before and after, each cut where it is very long."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conductor.evaluation.reports.formats.cited_files import CitedFiles, Region
from conductor.flows.language.markdown import visible

LINES_AROUND = 3
MAX_QUOTED_LINES = 40
MAX_LINE_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line: its number as text, its text, and whether it is quoted."""

    number: str
    text: str
    is_quoted: bool


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A place with its lines. `quote` holds what was claimed where the file does not have it."""

    place: str
    status: str
    reason: str
    lines: tuple[ShownLine, ...]
    quote: str = ""


def excerpt(evidence: Mapping[str, Any], files: CitedFiles) -> Excerpt:
    """Returns the lines of one piece of evidence."""
    start = evidence.get("actual_start_line") or evidence["start_line"]
    end = start + evidence["end_line"] - evidence["start_line"]
    place = f"{evidence['path']}:{start}" + (f"-{end}" if end > start else "")
    reason = f"cited at line {evidence['start_line']}" if evidence["status"] == "moved" else evidence.get("reason", "")
    region = files.region(evidence) if evidence["status"] != "missing" else None
    if region is None:
        return Excerpt(place, evidence["status"], reason, (), cut_lines(evidence["quote"]))
    shown = Region(region.start_line, min(region.end_line, region.start_line + MAX_QUOTED_LINES - 1))
    is_cut = shown.end_line < region.end_line
    around = files.around(shown, evidence["path"], LINES_AROUND, 0 if is_cut else LINES_AROUND)
    lines = [ShownLine(str(number), cut(text), shown.start_line <= number <= shown.end_line) for number, text in around]
    if is_cut:
        lines.append(ShownLine("…", _more(region.end_line - shown.end_line, "quoted line"), is_quoted=False))
    return Excerpt(place, evidence["status"], reason, tuple(lines))


def cut_lines(text: str) -> str:
    """Returns the first lines of a text, each cut."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    more = [f"… {_more(len(lines) - MAX_QUOTED_LINES, 'line')}"] if len(lines) > MAX_QUOTED_LINES else []
    return "\n".join([*map(cut, lines[:MAX_QUOTED_LINES]), *more])


def cut(line: str) -> str:
    """Returns a line, cut where it is very long, without anything that moves or hides text."""
    more = len(line) - MAX_LINE_CHARACTERS
    return visible(line[:MAX_LINE_CHARACTERS]) + (f" … {_more(more, 'character')}" if more > 0 else "")


def _more(number: int, what: str) -> str:
    return f"{number} more {what}" if number == 1 else f"{number} more {what}s"
