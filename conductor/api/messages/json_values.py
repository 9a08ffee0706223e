"""Makes protocol messages of stored JSON: what these messages cannot hold becomes text."""

import json
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct, Value

from conductor.core.numbers import encodable, sendable

# Readers of protocol messages refuse what nests deeper than 100 messages, and an object in an object takes three of them.
MAX_NESTING = 30
TOO_DEEP = "[… nested deeper than is shown here]"


def struct(data: bytes) -> Struct:
    """Makes a Struct of a JSON object; empty bytes give an empty one. What is nested too deep becomes a word that says so.

    A Struct holds doubles, so a number that no double holds is text there, as 64-bit numbers are in proto-JSON. Raises ValueError
    for anything else.
    """
    made = Struct()
    try:
        return json_format.ParseDict(_shallow(json.loads(data), MAX_NESTING), made) if data else made
    except (json_format.ParseError, RecursionError) as error:
        raise ValueError(str(error)) from error


def value(data: bytes) -> Value:
    """Makes a Value of any JSON, as `struct` makes a Struct of an object. Raises ValueError."""
    made = Value()
    try:
        return json_format.ParseDict(_shallow(json.loads(data), MAX_NESTING), made)
    except (json_format.ParseError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _shallow(value: Any, levels: int) -> Any:
    match value:
        case dict() | list() if not levels:
            return TOO_DEEP
        case dict():
            return {encodable(name): _shallow(member, levels - 1) for name, member in value.items()}
        case list():
            return [_shallow(member, levels - 1) for member in value]
        case _:
            return sendable(value)
