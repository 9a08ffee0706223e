"""Reads the spellings of a flow file that proto-JSON does not know, and finds numbers that YAML readers disagree about.

Durations may have units (`2m`, `1h30m`), and the values of an enumeration may be short (`continue` for `ON_FAILURE_CONTINUE`).
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from google.protobuf.descriptor import EnumDescriptor

from conductor.core.numbers import MAX_EXACT
from conductor.flows.language.document import Node

DURATION = 'a duration such as "90s", "2m" or "1h30m"'
_UNITS = {"d": Decimal(86400), "h": Decimal(3600), "m": Decimal(60), "s": Decimal(1), "ms": Decimal("0.001")}
_PART = r"([0-9]{1,12}(?:\.[0-9]{1,9})?)"
_PARTS = "".join(f"(?:{_PART}{unit})?" for unit in _UNITS)
_DURATION = re.compile(_PARTS + r"\Z")
DURATION_PATTERN = f"^(?=.){_PARTS}$"
# Forms of YAML 1.1 and 1.2 that JSON does not have, and numbers that no double holds.
_OTHER_NUMBER = re.compile(
    r"[-+]?(0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0[bB][01_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
    r"|[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9][0-9_]*([eE][-+]?[0-9]+)?|\.(inf|Inf|INF|nan|NaN|NAN))\Z"
)
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_OTHER_WORDS = frozenset({"True", "TRUE", "False", "FALSE", "Null", "NULL", "NaN", "Infinity", "-Infinity"})


def duration(value: Any) -> Any:
    """Returns a duration with units as proto-JSON writes it; anything else unchanged."""
    match = _DURATION.match(value) if isinstance(value, str) else None
    if not match or not value:
        return value
    parts = zip(match.groups(), _UNITS.values(), strict=True)
    return f"{sum((Decimal(number) * unit for number, unit in parts if number), Decimal(0)):f}s"


def enum_value(value: Any, kind: EnumDescriptor) -> Any:
    """Returns the full name of a value that is written short; anything else unchanged."""
    if isinstance(value, str) and not value.isupper():
        return next((full for full, short in short_names(kind) if short == value), value)
    return value


def short_names(kind: EnumDescriptor) -> Iterator[tuple[str, str]]:
    """Yields the names of an enumeration, each with its short form: in lower case, without the enumeration's own name."""
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.name).upper() + "_"
    for value in kind.values:
        if value.number:
            yield value.name, value.name.removeprefix(prefix).lower()


def unclear_values(node: Node, where: str) -> Iterator[tuple[int, str, str]]:
    """Yields plain words of an object that other readers of YAML take for numbers, and numbers that a Struct cannot hold."""
    match node.value:
        case dict():
            for key, member in node.value.items():
                yield from unclear_values(member, f"{where}.{key}")
        case list():
            for index, member in enumerate(node.value):
                yield from unclear_values(member, f"{where}[{index}]")
        case str() as text if node.source and is_unclear(text):
            too_large = f"'{text[:40]}' is larger than any number here: write a smaller one, or quote it"
            unclear = f"'{text[:40]}' is text here and a number or a word elsewhere: quote it, or write it as JSON does"
            yield node.line, where, too_large if _JSON_NUMBER.match(text) else unclear
        case int() as number if abs(number) > MAX_EXACT:
            yield (
                node.line,
                where,
                f"is {number}: whole numbers are exact up to {MAX_EXACT}; write a larger one as text, in quotes",
            )


def is_unclear(text: str) -> bool:
    """Returns whether readers of YAML disagree about a plain word: a number of another form, or one that is too large."""
    return text in _OTHER_WORDS or bool(_OTHER_NUMBER.match(text))
