"""Walks over the JSON values in an answer, and tells which of them are candidates: not thoughts, not the author's own examples.

The text is walked once from its beginning, so that a value is met before its parts. Every step of that is bounded, since a model
may write anything. What the values mean is read by `extraction` and `typed_answers`.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from conductor.evaluation.answers.leniency import lenient_value
from servicekit.secrets.mask import ESCAPED, MASK

MAX_SEARCHED_CHARACTERS = 1024 * 1024  # all that is read of an answer: a cut would make values of the parts of one
MAX_VALUES = 60_000  # prose about code is full of brackets, and the answer stands behind them
MAX_TRIES = 5000  # that fail
MAX_WALKED_CHARACTERS = 16 * 1024 * 1024  # that failed tries may walk over, together
HOLDERS = ("result", "output", "answer", "response", "report", "data", "review")
NO_JSON = "it holds no JSON"
# What is thought ends before an answer; the tag within a sentence or a quote is what the answer is about.
_LOST_THOUGHT = re.compile(r"</think>[ \t]*(?=[{\[`]|\r?\n\s*\S)")
_TAG = r"(?:think(?:ing)?|thought|reasoning|reflection|scratchpad)>"
# One that is never closed begins a line: within one, the tag may be what the answer is about.
_THOUGHT = re.compile(rf"^[ \t]*<{_TAG}.*?(?:</{_TAG}|\Z)|<{_TAG}.*?</{_TAG}", re.DOTALL | re.MULTILINE)
_START = re.compile(r"[{\[]")
_JSON_LIKE = re.compile(r"""\{\s*(?:["'\u201c]|[A-Za-z_]\w*\s*["'\u201d]?\s*:)|\[\s*(?:[{\["'\u201c]|\Z)|\{\s*\Z""")
_FENCED = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[\w-]*[ \t]*\r?\n\s*(?=[{\[])", re.MULTILINE)
_PARTS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|[{}\[\]]', re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)


class Searched:
    """The part of an answer that is searched: its end, without blocks of thinking, which are no answer.

    Masks that its host passed on are sealed: others came from JSON's escapes, which hosts do not see.
    """

    def __init__(self, answer: str) -> None:
        self._seal = f"mask-{hashlib.sha256(answer.encode(errors='replace')).hexdigest()}"  # which no agent can write
        self.text = _without_thoughts(answer)[-MAX_SEARCHED_CHARACTERS:].replace(MASK, self._seal)

    def unsealed(self, value: Any) -> bytes:
        """Returns the JSON of a value of the text, with the masks that its host passed on."""
        return json.dumps(value).replace(MASK, ESCAPED).replace(self._seal, MASK).encode()


def echoes_of(examples: Collection[str]) -> set[str]:
    """Returns the canonical values in texts of the flow's author, which models like to repeat."""
    return {canonical(value) for example in examples for value, _ in values_in(example)}


def canonical(value: Any) -> str:
    """Returns a text that is the same for equal values."""
    return json.dumps(value, sort_keys=True)


def _without_thoughts(answer: str) -> str:
    lost = list(_LOST_THOUGHT.finditer(answer))
    if lost and "<think" not in answer[: lost[-1].start()]:  # some servers swallow the opening tag
        return answer[lost[-1].end() :]
    return _THOUGHT.sub("\n", answer)


def values_in(text: str) -> Iterator[tuple[Any, int]]:
    """Yields each largest JSON value of a text with its end."""
    yield from ((value, end) for value, _, end in _walk(text, passes_over=False) if not isinstance(value, Unreadable))


def whole_values_in(text: str) -> Iterator[Any]:
    """Yields each largest JSON value of a text, and nothing from inside of one that cannot be read, which is told in its place.

    Prose has lists, as `[1]` and `- [ ]`, and `{}`: of those only what stands on lines of its own is a value.
    """
    for value, start, end in _walk(text, passes_over=True):
        is_plain = isinstance(value, list) or value == {}
        if not is_plain or not (_line_before(text, start).strip("> \t") or _line_after(text, end).strip()):
            yield value


def _line_before(text: str, position: int) -> str:
    return text[text.rfind("\n", 0, position) + 1 : position]


def _line_after(text: str, position: int) -> str:
    end = text.find("\n", position)
    return text[position:] if end < 0 else text[position:end]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that begins as JSON and cannot be read, and why."""

    reason: str


def _walk(text: str, *, passes_over: bool) -> Iterator[tuple[Any, int, int]]:
    """Yields what begins as JSON, with where it begins and ends."""
    position, walked, tries, count = 0, 0, 0, 0
    while (match := _START.search(text, position)) and count < MAX_VALUES:
        if tries > MAX_TRIES or walked > MAX_WALKED_CHARACTERS:
            return
        start = match.start()
        value, end, seen = _value_at(text, start)
        walked, tries = walked + seen, tries + bool(seen)
        if isinstance(value, Unreadable) and not (passes_over and _JSON_LIKE.match(text, start)):
            position = start + 1
            continue
        count += 1
        yield value, start, end
        position = end or _next_fence(text, start + 1)
    whole = lenient_value(text) if text.lstrip().startswith('"') else None  # JSON within a JSON text
    if isinstance(whole, dict | list):
        yield whole, 0, len(text)


def _value_at(text: str, start: int) -> tuple[Any, int, int]:
    """Returns the value that begins here, its end (0 where it is not closed), and how far it was looked at beside that."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        seen, reason = error.pos - start, f"its JSON cannot be read: {error.msg} ({text[error.pos : error.pos + 20]!r})"
    except RecursionError:
        return Unreadable("its JSON is nested too deep"), 0, len(text) - start
    except ValueError as error:  # how far it was looked at is not told, and counts below
        seen, reason = 0, f"its JSON cannot be read: {error}"
    else:
        return value, end, 0
    end = _balanced_end(text, start)
    seen += (end or len(text)) - start
    value = lenient_value(text[start:end]) if end else None
    if isinstance(value, dict | list):
        return value, end, seen
    return Unreadable(reason if end else "its JSON breaks off: it is not closed"), end, seen


def _next_fence(text: str, position: int) -> int:
    """Returns where the next fenced value begins: what follows a value that is not closed belongs to it, or is fenced."""
    match = _FENCED.search(text, position)
    return match.end() if match else len(text)


def _balanced_end(text: str, start: int) -> int:
    """Returns where the brackets that open here are closed, quotes respected; 0 where they are not."""
    depth = 0
    for part in _PARTS.finditer(text, start):
        if (opening := part[0]) in "{[":
            depth += 1
        elif opening in "}]":
            depth -= 1
            if not depth:
                return part.end()
    return 0
