"""Masks secrets in what an agent says, in pieces: values that the host knows, and text in the form of an issuer's token.

The rule that the tests keep: what was passed on after some text is a function of that text, never of how it was cut. Not only
the whole must be the same, but every beginning of it: a stream that replays a spool makes its frames at the same places.

Only what may be the inside of a secret is held back: characters after a head that are too few yet to convince, or the beginning
of a known value. So words flow as they come, and the longest window or value bounds what is held. Once a window convinces, its
mask is passed on and the rest of the secret is dropped as it comes, however long it is.

A mask that the agent wrote itself is spelt `[redacted::KIND]`, so that the conductor knows the host's own (`Escape`).

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
from agenthost.core.output.utf8 import fitting
from servicekit.secrets.mask import ESCAPED, MASK, FormatMask

VALUE_MASK = f"{MASK}secret]"
# A shorter value would mask ordinary words; a longer one would be held back for too long.
MIN_VALUE_CHARACTERS = 8
MAX_VALUE_CHARACTERS = 8192
MAX_VALUES = 100
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_STRINGS = re.compile(_STRING, re.DOTALL)
_STRINGS_AND_NUMBERS = re.compile(rf"{_STRING}|-?\d[\d.eE+-]*+", re.DOTALL)


class Redaction:
    """Masks the reports of one stream: texts of a channel as one text in pieces, any other report as a whole.

    A redactor for each channel, so that neither a log line between two halves of an answer nor a word on stderr between two on
    stdout hides what is joined again for the reader. Limits come after: a cut could hide that there was a secret.
    """

    escapes = True

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = self._spelt(tuple(values))
        self._begin()

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
        self._begin()

    def finish(self) -> Iterator[Parsed]:
        """Yields what was held back."""
        for channel, redactor in self._redactors.items():
            if text := redactor.finish():
                yield Output(channel, text)

    def _begin(self) -> None:
        self._redactors = {channel: Redactor(self._values, escapes=self.escapes) for channel in Channel}

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
        return redacted(text, self._values, escapes=self.escapes)

    _id = _name = _whole

    def _json(self, text: str) -> str:
        return redacted_json(text, self._values, escapes=self.escapes)

    @staticmethod
    def _spelt(values: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the values as they are and as JSON spells them: agents log JSON, and quote files in it."""
        spellings = (json.dumps(value, ensure_ascii=plain)[1:-1] for value in values for plain in (False, True))
        return tuple(dict.fromkeys((*values, *spellings)))


class SecondRedaction(Redaction):
    """Masks as hosts did that let an agent write masks of its own."""

    escapes = False


class FirstRedaction(SecondRedaction):
    """Masks as f9ac01c did, for the attempts that it began: ids and numbers stay, and a name is cut before it is masked."""

    def _id(self, text: str) -> str:
        return fitting(text, MAX_NAME_BYTES)

    def _name(self, text: str) -> str:
        return self._whole(fitting(text, MAX_NAME_BYTES))

    def _json(self, text: str) -> str:
        return redacted_json(text, self._values, _STRINGS, escapes=False)

    @staticmethod
    def _spelt(values: tuple[str, ...]) -> tuple[str, ...]:
        return values


REDACTIONS: Mapping[int, type[Redaction]] = {
    1: FirstRedaction,
    2: SecondRedaction,
    3: Redaction,
}  # by `Revisions.redaction`


class Redactor:
    """Masks one text. Known values go first: a format could cut one in two."""

    def __init__(self, values: Iterable[str] = (), *, escapes: bool = True) -> None:
        self._escape = Escape() if escapes else None
        self._values = ValueMask(values)
        self._formats = FormatMask()

    def feed(self, text: str) -> str:
        """Returns what can be passed on by now."""
        return self._formats.feed(self._values.feed(self._escape.feed(text) if self._escape else text))

    def finish(self) -> str:
        """Returns what was held back; nothing comes after it."""
        return self._formats.feed(self._values.finish()) + self._formats.finish()


class Escape:
    """Doubles the colon of masks that the agent wrote itself. It holds nothing back: the beginning of a mask stays as it is."""

    def __init__(self) -> None:
        self._lead = ""

    def feed(self, text: str) -> str:
        """Returns the text."""
        if not self._lead and MASK not in text and "[" not in text[-len(MASK) :]:
            return text
        whole = self._lead + text
        escaped = whole.replace(MASK, ESCAPED)[len(self._lead) :]
        tail = whole[1 - len(MASK) :]
        self._lead = tail if "[" in tail else ""
        return escaped


def redacted(text: str, values: Iterable[str] = (), *, escapes: bool = True) -> str:
    """Returns a whole text with its secrets masked."""
    redactor = Redactor(values, escapes=escapes)
    return redactor.feed(text) + redactor.finish()


def redacted_json(
    text: str, values: Sequence[str] = (), tokens: re.Pattern[str] = _STRINGS_AND_NUMBERS, *, escapes: bool = True
) -> str:
    """Returns JSON with its secrets masked. Each string and number is its own text, so that JSON stays JSON."""
    known = ValueMask(values)
    numbers = ValueMask(value for value in values if value in text)  # few or none, and an agent may send many numbers

    def whole(text: str) -> str:
        text = text.replace(MASK, ESCAPED) if escapes else text
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
