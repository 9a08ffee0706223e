"""Checks citations against the snapshot: whether the quote stands where the finding says.

The rules, which the tests quote:

1. VERIFIED: the lines `start_line` to `end_line` exist, and hold the quote.
2. Line ends do not matter (CRLF, CR and LF are equal), nor does white space around the whole quote: agents drop the first line's
   indentation and the last line's newline. Inside the quote every character counts.
3. A quote of a part of these lines also verifies, if it has at least `MIN_PARTIAL` visible characters, two of them letters or
   digits (a single `)` proves nothing), and does not begin or end in the middle of a word or number. Of lines that go on before
   or behind it, it must be whole lines, or have `MIN_WITHIN` visible characters.
4. MOVED: the quote stands as whole lines elsewhere in the same file (rule 2 applies), and has at least `MIN_WHOLE` visible
   characters, two of them letters or digits. The nearest place is reported, the earlier of two. Parts of lines do not move:
   `return None` stands somewhere in many files.
5. Everything else is MISSING. The reason says what was looked for: no such file, a path outside the snapshot, not text, not found.
6. A quote with a secret that the host masked is compared by the rules of `masked_quotes`. It verifies as whole lines only. A mask
   that the agent wrote itself is text.
7. Paths are those of the snapshot: relative, without `..`. `./a` and `/workspace/a` (where an agent sees the snapshot) mean `a`.
   Only regular files count: links, submodules and directories do not.

8. PLACED: a deterministic tool, which asks no model, names lines that exist and quotes nothing. That proves a place, and no text:
   the quote is taken from the snapshot, at most `MAX_PLACED_LINES` lines and `MAX_PLACED_CHARACTERS` characters. A binary file
   has a place and no quote. A place behind the file's end, in a directory or in no file is MISSING.

No text of an agent is used as a pattern. Searches use `str.find` (never `rfind`, whose worst case is quadratic), and one check may
search a limited number of characters, so that the result does not depend on the machine's speed.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from conductor.evaluation.answers.results import QUOTES_NOTHING
from conductor.evaluation.evidence.findings import STATUSES, Evidence, Finding
from conductor.evaluation.evidence.fingerprints import Line, identify, primary
from conductor.evaluation.evidence.masked_quotes import MAX_MASKS, as_written, is_masked, stands_masked
from conductor.evaluation.evidence.words import cuts_word

MIN_WHOLE, MIN_PARTIAL, MIN_WITHIN = 3, 4, 6
MIN_LETTERS = 2
MAX_SEARCHED_CHARACTERS = 500_000_000
PLACE_COST = 1500
SHORT_SPAN = 8000  # characters of cited lines that are compared whatever was searched before
MAX_CITED_LINES = 4000
MAX_PLACED_LINES, MAX_PLACED_CHARACTERS = 12, 1000
MAX_ODD_CHARACTERS = 100
BINARY_PROBE_BYTES = 8000
TOO_MUCH = "this result cites too much to look for this quote everywhere"
WORKSPACE = "/workspace/"


def normal_path(path: str) -> str:
    """Returns the path inside the snapshot; empty for a path that cannot be one (rule 7)."""
    inside = path.removeprefix(WORKSPACE)
    while inside.startswith("./"):
        inside = inside[2:]
    parts = inside.split("/")
    is_trick = inside.startswith("/") or "\0" in inside or any(part in ("", ".", "..") for part in parts)
    return "" if is_trick else inside


def cited_paths(places: Iterable[Evidence]) -> tuple[str, ...]:
    """Returns the files to read, each once, in the order of their citations."""
    paths = (normal_path(item.path) for item in places if not item.status or item.reason == QUOTES_NOTHING)
    return tuple(dict.fromkeys(path for path in paths if path))


@dataclass(frozen=True, slots=True)
class Unread:
    """A cited file that was not read, and why."""

    reason: str


class CitedText:
    """A file's text with its lines."""

    def __init__(self, data: bytes, *, cr_ends_line: bool = True) -> None:
        self.cr_ends_line = cr_ends_line
        self.text = self.plain(data.decode(errors="replace").removeprefix("\ufeff"))
        self.starts = [0]
        position = self.text.find("\n")
        while position >= 0:
            self.starts.append(position + 1)
            position = self.text.find("\n", position + 1)
        # The text after the last newline is a line only if it is not empty.
        self.count = len(self.starts) - (self.starts[-1] == len(self.text))

    def plain(self, text: str) -> str:
        """Returns a text with line ends as they are here."""
        text = text.replace("\r\n", "\n")
        return text.replace("\r", "\n") if self.cr_ends_line else text

    def line_at(self, position: int) -> int:
        """Returns the number of the line that holds a position."""
        return bisect_right(self.starts, position)

    def span(self, start_line: int, end_line: int) -> tuple[int, int]:
        """Returns where these lines begin and end; an empty span where one of them does not exist."""
        if end_line > self.count:
            return 0, 0
        return self.starts[start_line - 1], self.line_end(end_line)

    def line_end(self, line: int) -> int:
        """Returns where a line ends, without its newline."""
        return self.starts[line] - 1 if line < len(self.starts) else len(self.text)


class CitationCheck:
    """Checks one result: splits files into lines once, and counts what it searches."""

    def __init__(self, files: Mapping[str, bytes | Unread | None]) -> None:
        self._files = files
        self._texts: dict[str, tuple[CitedText, ...] | Unread] = {}
        self._searched = 0

    def judge(self, finding: Finding, *, is_tool: bool = False) -> Finding:
        """Returns the finding with its citations judged, and counted among those with the same quote in its file."""
        judged = tuple(
            self._place(item) if is_tool and item.reason == QUOTES_NOTHING else self.judge_place(item)
            for item in finding.evidence
        )
        return replace(finding, evidence=judged, occurrence=self._count_before(judged[0]) if judged else 0)

    def identify(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Returns judged findings with their fingerprints."""
        kept = tuple(findings)
        places = {place for finding in kept if (place := primary(finding)) is not None and place.status != "missing"}
        lines = {place: line for place in places if (line := self._line_of(place)) is not None}
        files = {place.path: self._texts_of(place.path)[0].text for place in lines}
        return identify(kept, lines, files)

    def _line_of(self, item: Evidence) -> Line | None:
        """Returns the line where a quote begins."""
        for text in self._texts_of(item.path)[:1]:
            start = item.first_line
            begin, end = text.span(start, min(item.last_line, text.count))
            quote = text.plain(item.quote.removeprefix("\ufeff")).strip()
            self._searched += end - begin
            found = text.text.find(quote.partition("\n")[0], begin, end)
            number = text.line_at(found) if found >= 0 else start
            return Line(number, text.text[text.starts[number - 1] : text.line_end(number)])
        return None

    def _texts_of(self, path: str) -> tuple[CitedText, ...]:
        texts = self._texts.get(path)
        return texts if isinstance(texts, tuple) else ()

    def _count_before(self, item: Evidence) -> int:
        """Returns how often a quote stands before its place: the same for every step that finds it."""
        texts = self._texts.get(item.path)
        if item.status == "missing" or not isinstance(texts, tuple) or self._searched > MAX_SEARCHED_CHARACTERS:
            return 0
        text = texts[0]
        before = text.starts[min(item.first_line, len(text.starts)) - 1]
        self._searched += before
        return text.text.count(text.plain(item.quote.removeprefix("\ufeff")).strip(), 0, before)

    def judge_place(self, item: Evidence) -> Evidence:
        """Returns one place, judged."""
        if item.status:
            return item
        path = normal_path(item.path)
        if not path:
            return _missing(item, "its path is not inside the snapshot")
        item, texts = replace(item, path=path), self._read(path)
        if isinstance(texts, Unread):
            return _missing(item, texts.reason)
        return min((self._locate(item, text) for text in texts), key=lambda judged: STATUSES.index(judged.status))

    def _place(self, item: Evidence) -> Evidence:
        """Applies rule 8."""
        path = normal_path(item.path)
        if not path:
            return _missing(item, "its path is not inside the snapshot")
        texts = self._read(path)
        placed = replace(item, path=path, status="placed", reason="")
        if isinstance(texts, Unread):
            is_there = isinstance(self._files.get(path), bytes)
            return placed if is_there else _missing(item, texts.reason)
        text = next((text for text in texts if item.end_line <= text.count), None)
        if text is None:
            lines = "1 line" if texts[0].count == 1 else f"{texts[0].count} lines"
            return _missing(item, f"the file has {lines}")
        last = min(item.end_line, item.start_line + MAX_PLACED_LINES - 1)
        begin, end = text.span(item.start_line, last)
        return replace(placed, quote=_cut(text.text[begin : min(end, begin + MAX_PLACED_CHARACTERS)]))

    def _read(self, path: str) -> tuple[CitedText, ...] | Unread:
        if path not in self._texts:
            self._texts[path] = _as_text(self._files.get(path))
        return self._texts[path]

    def _locate(self, item: Evidence, text: CitedText) -> Evidence:
        told = text.plain(item.quote.removeprefix("\ufeff")).strip()
        quote = as_written(told)
        if not quote:
            return _missing(item, QUOTES_NOTHING)
        begin, end = text.span(item.start_line, item.end_line)
        if item.end_line - item.start_line < MAX_CITED_LINES and self._stands_in(quote, begin, end, text, item):
            return replace(item, status="verified", quote=as_written(item.quote))
        if is_masked(told):
            return self._locate_masked(item, told, text.text[begin:end])
        return self._look_elsewhere(item, quote, text)

    def _look_elsewhere(self, item: Evidence, quote: str, text: CitedText) -> Evidence:
        """Applies rules 4 and 5."""
        if self._searched > MAX_SEARCHED_CHARACTERS:
            return _missing(item, TOO_MUCH)
        if not is_telling(quote):
            return _missing(item, f"{_not_there(item, quote, text)}, and it is too short to be looked for elsewhere")
        line = self._nearest(quote, item.start_line, text)
        if line:
            return replace(item, status="moved", actual_start_line=line, quote=as_written(item.quote))
        if self._searched > MAX_SEARCHED_CHARACTERS:
            return _missing(item, TOO_MUCH)
        self._searched += 2 * len(text.text)
        return _missing(item, f"{_not_there(item, quote, text)}, and no whole lines elsewhere in this file are it")

    def _stands_in(self, quote: str, begin: int, end: int, text: CitedText, item: Evidence) -> bool:
        """Applies rules 1 to 3."""
        self._searched += 2 * (end - begin)
        if self._searched > MAX_SEARCHED_CHARACTERS and end - begin > SHORT_SPAN:
            return False
        if text.text[begin:end].strip() == quote:
            return True
        if not is_telling(quote):
            return False
        # With as many line ends as the lines it can only begin in the first of them.
        is_filling = quote.count("\n") == item.end_line - item.start_line
        is_enough = _count_visible(quote) >= (MIN_PARTIAL if is_filling else MIN_WITHIN)
        position = text.text.find(quote, begin, end)
        while position >= 0 and self._searched <= MAX_SEARCHED_CHARACTERS:
            if is_enough and not cuts_word(text.text, position, position + len(quote)):
                return True
            if _is_whole(quote, position, text):
                return True
            self._searched += PLACE_COST
            position = text.text.find(quote, position + 1, end)
        return False

    def _locate_masked(self, item: Evidence, quote: str, lines: str) -> Evidence:
        self._searched += len(lines) * MAX_MASKS
        if self._searched <= MAX_SEARCHED_CHARACTERS and stands_masked(quote, lines):
            return replace(item, status="verified")
        return _missing(item, "the quote holds a masked secret, and its other text does not stand in these lines")

    def _nearest(self, quote: str, start_line: int, text: CitedText) -> int:
        """Returns the line nearest to the cited one where the quote stands as whole lines; 0 where there is none."""
        self._searched += len(text.text)
        before, position = 0, -1
        while self._searched <= MAX_SEARCHED_CHARACTERS:
            position = text.text.find(quote, position + 1)
            if position < 0:
                break
            self._searched += PLACE_COST
            line = text.line_at(position)
            if not _is_whole(quote, position, text):
                continue
            if line > start_line:
                return before if before and start_line - before <= line - start_line else line
            before = line
        return before


def _as_text(data: bytes | Unread | None) -> tuple[CitedText, ...] | Unread:
    """Returns a file's text; twice where a CR stands alone, which ends a line for some tools, and is a character for others."""
    match data:
        case None:
            return Unread("there is no such file in the snapshot")
        case Unread():
            return data
        case _ if b"\0" in data[:BINARY_PROBE_BYTES]:
            return Unread("this file is not text")
        case _ if data.count(b"\r") > data.count(b"\r\n"):
            return CitedText(data), CitedText(data, cr_ends_line=False)
        case _:
            return (CitedText(data),)


def _count_visible(quote: str) -> int:
    return len(quote) - sum(map(str.isspace, quote))


def _cut(quote: str) -> str:
    """Returns the lines of a place; little of what is hardly text, whose JSON would be many times as long."""
    return quote if len(json.dumps(quote, ensure_ascii=False)) < 2 * len(quote) + 2 else quote[:MAX_ODD_CHARACTERS]


def is_telling(quote: str) -> bool:
    """Returns whether a quote has enough in it to prove something by standing somewhere."""
    return _count_visible(quote) >= MIN_WHOLE and sum(map(str.isalnum, quote)) >= MIN_LETTERS


def _not_there(item: Evidence, quote: str, text: CitedText) -> str:
    """Says in which lines the quote was looked for."""
    if item.end_line > text.count:
        return f"this file has {text.count} lines" if text.count != 1 else "this file has 1 line"
    if item.end_line - item.start_line >= MAX_CITED_LINES:
        return f"it cites more than {MAX_CITED_LINES} lines"
    is_part = text.text.find(quote, *text.span(item.start_line, item.end_line)) >= 0
    if item.start_line == item.end_line:
        lines, hold = f"line {item.start_line}", "holds" if is_part else "does not hold"
    else:
        lines, hold = f"lines {item.start_line} to {item.end_line}", "hold" if is_part else "do not hold"
    return f"{lines} {hold} the quote" + (
        " only as a part that is too short or cuts a word or number" if is_part else ""
    )


def _is_whole(quote: str, position: int, text: CitedText) -> bool:
    """Returns whether the quote's first and last line hold nothing else but white space."""
    begin = text.starts[text.line_at(position) - 1]
    if position > begin and not text.text[position - 1].isspace():
        return False  # most places are in the middle of a line, which may be long
    last = position + len(quote)
    end = text.line_end(text.line_at(last - 1))
    return not text.text[begin:position].strip() and not text.text[last:end].strip()


def _missing(item: Evidence, reason: str) -> Evidence:
    return replace(item, status="missing", reason=reason)
