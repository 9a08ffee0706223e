"""The files of the snapshot that a report cites: where a quote stands in them, and the lines around it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conductor.evaluation.evidence.citations import BINARY_PROBE_BYTES, CitedText, Unread, normal_path
from conductor.evaluation.evidence.masked_quotes import as_written


@dataclass(frozen=True, slots=True)
class Region:
    """Lines of a file, from 1, and columns of UTF-16 code units; columns 0 where the quote itself was not found in its lines."""

    start_line: int
    end_line: int
    start_column: int = 0
    end_column: int = 0


def cited_paths(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the files that the findings of a report cite, each once, the most important first."""
    findings = values["findings"]
    places = [item for finding in findings for item in (*finding["evidence"], *finding.get("verdict_evidence", ()))]
    return tuple(dict.fromkeys(path for item in places if (path := normal_path(item["path"]))))


class CitedFiles:
    """The files, split into lines when they are first asked for."""

    def __init__(self, files: Mapping[str, bytes | Unread | None]) -> None:
        self._files = files
        self._texts: dict[str, CitedText | None] = {}

    def data(self, path: str) -> bytes | None:
        """Returns a file's bytes; None where it was not read."""
        found = self._files.get(path)
        return found if isinstance(found, bytes) else None

    def text(self, path: str) -> CitedText | None:
        """Returns a file's text; None where there is none, or it is not text."""
        if path not in self._texts:
            data = self.data(path)
            is_text = data is not None and b"\0" not in data[:BINARY_PROBE_BYTES]
            self._texts[path] = CitedText(data) if is_text and data is not None else None
        return self._texts[path]

    def region(self, evidence: Mapping[str, Any]) -> Region | None:
        """Returns where a quote stands; for one that was not found its lines, as far as the file has them; None without a file."""
        text = self.text(evidence["path"])
        if text is None or not text.count:
            return None
        start = evidence.get("actual_start_line") or evidence["start_line"]
        end = start + evidence["end_line"] - evidence["start_line"]
        if evidence["status"] == "missing" or not 1 <= start <= end or start > text.count:
            start = min(max(1, start), text.count)
            return Region(start, min(max(start, end), text.count))
        end = min(end, text.count)
        return _exact(text, evidence["quote"], start, end) or Region(start, end)

    def around(self, region: Region, path: str, before: int, after: int) -> Iterator[tuple[int, str]]:
        """Yields the numbered lines of a region, and some before and after it."""
        text = self.text(path)
        if text is not None:
            first, last = max(1, region.start_line - before), min(text.count, region.end_line + after)
            for number in range(first, last + 1):
                yield number, text.text[text.starts[number - 1] : text.line_end(number)]


def _exact(text: CitedText, quote: str, start: int, end: int) -> Region | None:
    told = as_written(text.plain(quote.removeprefix("\ufeff")).strip())
    begin, behind = text.span(start, end)
    place = text.text.find(told, begin, behind) if told else -1
    if place < 0:
        return None
    last = place + len(told)
    first_line, last_line = text.line_at(place), text.line_at(last - 1)
    return Region(first_line, last_line, _column(text, first_line, place), _column(text, last_line, last))


def _column(text: CitedText, line: int, position: int) -> int:
    return len(text.text[text.starts[line - 1] : position].encode("utf-16-le", "surrogatepass")) // 2 + 1
