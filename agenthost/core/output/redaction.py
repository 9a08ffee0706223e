"""Masks secrets in what an agent says, in pieces: values that the host knows, and text in the form of an issuer's token.

The rule that the tests keep: what was passed on after some text is a function of that text, never of how it was cut. Not only
the whole must be the same, but every beginning of it: a stream that replays a spool makes its frames at the same places.

Only what may be the inside of a secret is held back: characters after a head that are too few yet to convince, or the beginning
of a known value. So words flow as they come, and the longest window or value bounds what is held. Once a window convinces, its
mask is passed on and the rest of the secret is dropped as it comes, however long it is.

It cannot find a secret that an agent has encoded. It keeps accidents from people's screens and from the database. It does not stop
an agent that wants to tell a secret, and so agents are given none.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from agenthost.core.output.report import (
    MAX_NAME_BYTES,
    AnswerVoid,
    Channel,
    Notice,
    Output,
    Parsed,
    Result,
    ToolCall,
    ToolResult,
    TurnEnd,
)
from agenthost.core.output.secret_formats import (
    FORMAT_BY_HEAD,
    HEAD_PATTERN,
    MAX_LEAD,
    SecretFormat,
    begins_word,
    is_convincing,
)
from agenthost.core.output.utf8 import fitting

VALUE_MASK = "[redacted:secret]"
# A shorter value would mask ordinary words; a longer one would be held back for too long.
MIN_VALUE_CHARACTERS = 8
MAX_VALUE_CHARACTERS = 8192
MAX_VALUES = 100
BLOCK_END = "-----"
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_STRINGS = re.compile(_STRING, re.DOTALL)
_STRINGS_AND_NUMBERS = re.compile(rf"{_STRING}|-?\d[\d.eE+-]*+", re.DOTALL)


class Redaction:
    """Masks the reports of one stream: texts of a channel as one text in pieces, any other report as a whole.

    A redactor for each channel, so that neither a log line between two halves of an answer nor a word on stderr between two on
    stdout hides what is joined again for the reader. Limits come after: a cut could hide that there was a secret.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = self._spelt(tuple(values))
        self._redactors = {channel: Redactor(self._values) for channel in Channel}

    def feed(self, parsed: Iterable[Parsed]) -> Iterator[Parsed]:
        """Yields what can be passed on by now."""
        for report in parsed:
            if isinstance(report, TurnEnd | AnswerVoid):
                yield from self.flush()
            masked = self._masked(report)
            if not isinstance(masked, Output) or masked.text:
                yield masked

    def flush(self) -> Iterator[Parsed]:
        """Yields what was held back, and begins new texts: one turn's text does not go on in the next."""
        yield from self.finish()
        self._redactors = {channel: Redactor(self._values) for channel in Channel}

    def finish(self) -> Iterator[Parsed]:
        """Yields what was held back."""
        for channel, redactor in self._redactors.items():
            if text := redactor.finish():
                yield Output(channel, text)

    def _masked(self, report: Parsed) -> Parsed:
        match report:
            case Output(channel=channel, text=text):
                return Output(channel, self._redactors[channel].feed(text))
            case ToolCall(id=call, name=name, arguments=arguments):
                return ToolCall(self._id(call), self._name(name), self._json(arguments))
            case ToolResult(id=call, text=text):
                return replace(report, id=self._id(call), text=self._whole(text))
            case Notice(text=text):
                return replace(report, text=self._whole(text))
            case Result(json=text):
                return Result(self._json(text))
            case _:
                return report

    def _whole(self, text: str) -> str:
        return redacted(text, self._values)

    _id = _name = _whole

    def _json(self, text: str) -> str:
        return redacted_json(text, self._values)

    @staticmethod
    def _spelt(values: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the values as they are and as JSON spells them: agents log JSON, and quote files in it."""
        spellings = (json.dumps(value, ensure_ascii=plain)[1:-1] for value in values for plain in (False, True))
        return tuple(dict.fromkeys((*values, *spellings)))


class FirstRedaction(Redaction):
    """Masks as f9ac01c did, for the attempts that it began: ids and numbers stay, and a name is cut before it is masked."""

    def _id(self, text: str) -> str:
        return fitting(text, MAX_NAME_BYTES)

    def _name(self, text: str) -> str:
        return self._whole(fitting(text, MAX_NAME_BYTES))

    def _json(self, text: str) -> str:
        return redacted_json(text, self._values, _STRINGS)

    @staticmethod
    def _spelt(values: tuple[str, ...]) -> tuple[str, ...]:
        return values


REDACTIONS: Mapping[int, type[Redaction]] = {1: FirstRedaction, 2: Redaction}  # by `Revisions.redaction`


class Redactor:
    """Masks one text. Known values go first: a format could cut one in two."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = ValueMask(values)
        self._formats = FormatMask()

    def feed(self, text: str) -> str:
        """Returns what can be passed on by now."""
        return self._formats.feed(self._values.feed(text))

    def finish(self) -> str:
        """Returns what was held back; nothing comes after it."""
        return self._formats.feed(self._values.finish()) + self._formats.finish()


def redacted(text: str, values: Iterable[str] = ()) -> str:
    """Returns a whole text with its secrets masked."""
    redactor = Redactor(values)
    return redactor.feed(text) + redactor.finish()


def redacted_json(text: str, values: Sequence[str] = (), tokens: re.Pattern[str] = _STRINGS_AND_NUMBERS) -> str:
    """Returns JSON with its secrets masked. Each string and number is its own text, so that JSON stays JSON."""
    known = ValueMask(values)
    numbers = ValueMask(value for value in values if value in text)  # few or none, and an agent may send many numbers

    def whole(text: str) -> str:
        formats = FormatMask()
        return formats.feed(known.feed(text) + known.finish()) + formats.finish()

    def mask(literal: re.Match[str]) -> str:
        if len(literal[0]) < MIN_VALUE_CHARACTERS:  # too short for a secret; an agent may send a million of them
            return literal[0]
        if literal[0][0] != '"':
            masked = numbers.feed(literal[0]) + numbers.finish()
            return literal[0] if masked == literal[0] else json.dumps(masked)
        try:
            inside = json.loads(literal[0], strict=False)
        except ValueError:  # the text was cut in the middle of a string
            return whole(literal[0])
        masked = whole(inside)
        return literal[0] if masked == inside else json.dumps(masked, ensure_ascii=False)

    return tokens.sub(mask, text)


class FormatMask:
    """Masks text in the form of a token."""

    def __init__(self) -> None:
        self._lead = ""  # what went before, as far as it can matter
        self._held = ""
        self._inside: SecretFormat | None = None

    def feed(self, new: str) -> str:
        """Returns what can be passed on by now."""
        text = f"{self._lead}{self._held}{new}"
        at = len(self._lead)
        passed: list[str] = []
        while at < len(text):
            if self._inside is not None:
                at = self._inside.end_of_body(text, at)
                if _may_go_on(text, at, self._inside):
                    break
                self._inside = None
            begin, end, found = _first_secret(text, at)
            passed.append(text[at:begin])
            at = begin
            if found is None:
                break
            passed.append(found.mask)
            at, self._inside = end, found
        self._held = text[at:]
        self._lead = text[max(0, at - MAX_LEAD) : at]
        return "".join(passed)

    def finish(self) -> str:
        """Returns what was held back, where it is not the inside of a secret."""
        held, self._held = self._held, ""
        return "" if self._inside else held


class ValueMask:
    """Masks known values."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values = _ranked(tuple(values))
        self._held = ""

    def feed(self, new: str) -> str:
        """Returns what can be passed on by now."""
        return self._advance(new, final=False) if self._values else new

    def finish(self) -> str:
        """Returns what was held back, masked: a shorter value may stand in it."""
        return self._advance("", final=True)

    def _advance(self, new: str, *, final: bool) -> str:
        text = self._held + new
        at = 0
        passed: list[str] = []
        while True:
            held = len(text) if final else self._first_beginning(text, at)
            found, value = self._first_value(text, at)
            if not value or held <= found:
                break
            passed += (text[at:found], VALUE_MASK)
            at = found + len(value)
        passed.append(text[at:held])
        self._held = text[held:]
        return "".join(passed)

    def _first_value(self, text: str, at: int) -> tuple[int, str]:
        """Returns the first place of a value, and the longest value that stands there."""
        first, found = len(text), ""
        for value in self._values:
            place = text.find(value, at, first + len(value) - 1)
            if place >= 0:
                first, found = place, value
        return first, found

    def _first_beginning(self, text: str, at: int) -> int:
        """Returns where the text's end begins an incomplete value; the text's end where it begins none."""
        first = len(text)
        for value in self._values:
            place = text.find(value[0], max(at, len(text) - len(value) + 1), first)
            while place >= 0:
                if value.startswith(text[place:]):
                    first = place
                    break
                place = text.find(value[0], place + 1, first)
        return first


@lru_cache(maxsize=256)
def _ranked(values: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the values that are masked, the longest first. An agent may make a mask necessary with each of its lines."""
    usable = {value for value in values if MIN_VALUE_CHARACTERS <= len(value) <= MAX_VALUE_CHARACTERS}
    return tuple(sorted(usable, key=lambda value: (-len(value), value)))[:MAX_VALUES]


def _first_secret(text: str, at: int) -> tuple[int, int, SecretFormat | None]:
    """Returns where the first secret after `at` begins, and where its window ends; no format where more text must decide."""
    place = max(0, at - MAX_LEAD)
    while head := HEAD_PATTERN.search(text, place):
        place = head.start() + 1
        format_ = FORMAT_BY_HEAD[head[0]]
        gap = format_.gap_pattern.match(text, head.end())
        is_head = format_.stands_anywhere or begins_word(text, head.start())
        if gap is None or gap.end() < at or not is_head:
            continue
        begin = gap.end()
        window = format_.window_pattern.match(text, begin)
        end = begin if window is None else window.end()
        if end - begin == format_.window:
            if is_convincing(text[begin:end]):
                return begin, end, format_
        elif end == len(text):
            return begin, begin, None
    return len(text), len(text), None


def _may_go_on(text: str, at: int, inside: SecretFormat) -> bool:
    """Says that the next text may still belong to the secret: nothing follows, or dashes, too few to end a block."""
    rest = len(text) - at
    return rest == 0 or (inside.is_block and rest < len(BLOCK_END) and text.endswith("-" * rest))
