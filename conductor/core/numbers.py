"""The numbers and texts of JSON that agents, authors and callers write.

A whole number has at most 64 bits and stays exact; any other number is a finite double. Numbers are judged where they enter.
`sendable` and `decidable` also take what an older conductor stored without judging it. JSON can escape half a surrogate pair, as
models that cut an emoji do, and no other form of a text can hold it: those that read a text get a question mark.
"""

import math
from collections.abc import Iterator
from typing import Any

LEAST_WHOLE, MOST_WHOLE = -(2**63), 2**64 - 1
# A double holds every whole number up to here, and beyond it only some.
MAX_EXACT = 2**53 - 1
_SHOWN_DIGITS = 40


def wrong_numbers(value: Any, where: str) -> Iterator[str]:
    """Yields the numbers that are out of bounds, each with its place below `where`."""
    match value:
        case bool():
            return
        case int() if not LEAST_WHOLE <= value <= MOST_WHOLE:
            yield f"{where} is {_short(value)}: a whole number has at most 64 bits; write a longer one as text"
        case float() if not math.isfinite(value):
            yield f"{where} is a number that no double can hold ({value}); write it as text, or leave it out"
        case dict():
            for name, member in value.items():
                yield from wrong_numbers(member, f"{where}.{name}")
        case list():
            for index, member in enumerate(value):
                yield from wrong_numbers(member, f"{where}[{index}]")
        case _:
            return


def sendable(value: Any) -> Any:
    """Returns a number or a text as a Struct of the protocol can hold it: a number as text where a double would change it."""
    match value:
        case str():
            return encodable(value)
        case bool():
            return value
        case int() if abs(value) > MAX_EXACT:
            return str(value)
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value


def as_written(value: Any) -> Any:
    """Returns a value from a Struct, which holds doubles only, with whole numbers as people write them: 5, not 5.0."""
    match value:
        case float() if value.is_integer() and abs(value) <= MAX_EXACT:
            return int(value)
        case dict():
            return {name: as_written(member) for name, member in value.items()}
        case list():
            return [as_written(member) for member in value]
        case _:
            return value


def decidable(value: Any) -> Any:
    """Returns the value as guards can compare it: with what is beyond 64 bits as its nearest double, and encodable texts."""
    match value:
        case str():
            return encodable(value)
        case bool():
            return value
        case int() if not LEAST_WHOLE <= value <= MOST_WHOLE:
            return _nearest_double(value)
        case dict():
            return {encodable(name): decidable(member) for name, member in value.items()}
        case list():
            return [decidable(member) for member in value]
        case _:
            return value


def encodable(text: str) -> str:
    """Returns the text with a question mark for each half of a surrogate pair."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _nearest_double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _short(value: int) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_DIGITS else f"{text[:_SHOWN_DIGITS]}… ({len(text.lstrip('-'))} digits)"
