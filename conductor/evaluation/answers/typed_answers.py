"""Finds the value that a step's `output` asks for in an agent's answer: the last candidate that its schema takes, as it is.

Nothing is filled in, and nothing is taken out of a value that breaks off or cannot be read: a part of it would be another value.
Where no candidate fits, the complaint is about the last.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from conductor.core.numbers import wrong_numbers
from conductor.evaluation.answers.candidates import (
    HOLDERS,
    NO_JSON,
    Searched,
    Unreadable,
    canonical,
    echoes_of,
    whole_values_in,
)
from conductor.evaluation.answers.leniency import lenient_value
from conductor.flows.language.output_schemas import (
    MAX_ERRORS,
    allowed_words,
    closed_members,
    list_path,
    output_errors,
    skeleton,
)

MAX_JUDGED = 2000  # values of an answer, the last ones
MAX_OUTPUT_BYTES = 1024 * 1024
MAX_OUTPUT_DEPTH = 25
_PLACEHOLDER = re.compile(
    r"(?i:todo|tbd|fixme|xxx|string|text|placeholder|lorem ipsum.*)[.!]?|\.{2,}|\u2026+|<[^<>/=\n]{1,80}>"
)
_QUOTES = frozenset({"quote", "quotes", "snippet", "code"})  # they hold what stands in files


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a step's output, and the least number of entries of its list."""

    schema: Mapping[str, Any]
    min_items: int = 0


@dataclass(frozen=True, slots=True)
class TypedAnswer:
    """The value of an answer in JSON, or what is wrong with the last candidate."""

    value: bytes = b""
    errors: tuple[str, ...] = ()


def extract_typed(answer: str, form: Form, examples: Collection[str] = ()) -> TypedAnswer:
    """Returns the value in an answer. `examples` are texts of the flow's author, which models like to repeat."""
    searched = Searched(answer)
    echoes = echoes_of((*examples, skeleton(form.schema))) - {"{}", "[]"}
    errors: tuple[str, ...] = ()
    for value in islice(reversed(list(whole_values_in(searched.text))), MAX_JUDGED):
        if isinstance(value, Unreadable):
            errors = errors or (value.reason,)
            continue
        if canonical(value) in echoes or _is_other(value, form):
            continue
        for candidate in _inner(value):
            wrong = judge_value(candidate, form)
            if not wrong:
                return TypedAnswer(searched.unsealed(candidate))
            errors = errors or wrong
    return TypedAnswer(errors=errors or (NO_JSON,))


def is_other_result(data: bytes, form: Form) -> bool:
    """Returns whether an agent's own result is findings, and nothing else, where something else is asked for.

    Some agents look for findings in their own answer, and hand them in even if the step asks for something else.
    """
    if not data.lstrip().startswith(b'{"findings"'):
        return False
    try:
        return _is_other(json.loads(data), form)
    except (ValueError, RecursionError):
        return False


def _is_other(value: Any, form: Form) -> bool:
    members = closed_members(form.schema)
    return isinstance(value, dict) and list(value) == ["findings"] and members is not None and "findings" not in members


def judge_json(data: bytes, form: Form) -> tuple[str, ...]:
    """Returns what is wrong with a value that is written as JSON."""
    if len(data) > MAX_OUTPUT_BYTES:
        return (f"the value has more than {MAX_OUTPUT_BYTES} bytes",)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        return (f"it is not JSON: {error}",)
    return judge_value(value, form)


def judge_value(value: Any, form: Form) -> tuple[str, ...]:
    """Returns what is wrong with a value: its form, then what no schema says."""
    if len(json.dumps(value)) > MAX_OUTPUT_BYTES:
        return (f"the value has more than {MAX_OUTPUT_BYTES} bytes",)
    if _depth(value) > MAX_OUTPUT_DEPTH:
        return (f"the value is nested deeper than {MAX_OUTPUT_DEPTH} levels",)
    wrong = list(islice(wrong_numbers(value, "the value"), MAX_ERRORS)) or output_errors(form.schema, value)
    return tuple(wrong) or tuple(_unmeant(value, form))


def _unmeant(value: Any, form: Form) -> Iterator[str]:
    allowed = frozenset(allowed_words(form.schema))
    yield from islice(_placeholders(value, "", allowed), MAX_ERRORS)
    path = list_path(form.schema)
    if form.min_items and path is not None:
        listed = value.get(path[0], []) if path else value
        if isinstance(listed, list) and len(listed) < form.min_items:
            where = path[0] if path else "the list"
            yield f"{where}: has {len(listed)} entries, and at least {form.min_items} are asked for"


def _placeholders(value: Any, where: str, allowed: Collection[str]) -> Iterator[str]:
    match value:
        case str() if value not in allowed and is_placeholder(value):
            yield f"{where or 'the value'}: {value.strip()[:80]!r} only stands for a text: write what is meant"
        case dict():
            for name, member in value.items():
                if name.lower() not in _QUOTES:
                    yield from _placeholders(member, f"{where}.{name}" if where else name, allowed)
        case list():
            for index, member in enumerate(value):
                yield from _placeholders(member, f"{where}[{index}]", allowed)
        case _:
            return


def is_placeholder(text: str) -> bool:
    """Returns whether a text only holds the place of another, as `TODO`, `string`, `...` and `<title>` do."""
    return _PLACEHOLDER.fullmatch(text.strip()) is not None


def _inner(value: Any) -> Iterator[Any]:
    """Yields a value, and what it holds where models wrap it: `{"result": …}`."""
    yield value
    if isinstance(value, dict) and len(value) == 1:
        ((name, inner),) = value.items()
        if name.lower() in HOLDERS:
            inner = lenient_value(inner) if isinstance(inner, str) else inner
            if isinstance(inner, dict | list):
                yield inner


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level and depth <= MAX_OUTPUT_DEPTH:
        inner = [
            part
            for one in level
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        depth, level = depth + 1, [one for one in inner if isinstance(one, dict | list)]
    return depth
