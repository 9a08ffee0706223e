"""Events as JSON, and back. Written once for every dataclass: fields by their names, tuples as lists, enums as their values.

A union of dataclasses is written with its tag: the class variable `kind` of the one that it is.

Rows of earlier versions stay readable: a field that a row lacks takes its default, an unknown field is ignored, and
`_UPGRADES` knows what was written in another form. What cannot be read is never guessed: `UndecodableEventError` says where.
Nothing here touches the database.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

from conductor.core.model.events.run_events import Event
from conductor.core.model.plan import StepPlan

_Reader = Callable[[Any], Any]
_SCALARS = (str, bool, int, float)
_TAG = "kind"

EVENT_TYPES: Mapping[str, type] = {kind.__name__: kind for kind in get_args(Event)}


class UndecodableEventError(Exception):
    """A row does not hold what it should."""


def encode(value: object) -> str:
    """Returns the JSON of an event, or of a dataclass inside an event."""
    # ASCII on purpose: an agent's text may hold lone surrogates, which have no UTF-8.
    return json.dumps(value, default=_list_fields, separators=(",", ":"))


def decode_event(type_name: str, text: str | bytes) -> Event:
    """Returns the event that `encode` wrote."""
    kind = EVENT_TYPES.get(type_name)
    if kind is None:
        raise UndecodableEventError(f"there is no event '{type_name}'")
    event: Event = decode(kind, text)
    return event


def decode(kind: type, text: str | bytes) -> Any:
    """Returns the dataclass `kind` that `encode` wrote."""
    try:
        return _build(kind, json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise UndecodableEventError(f"{kind.__name__}: {error}") from error


def _list_fields(value: Any) -> dict[str, Any]:
    kind: type = type(value)
    form = _form(kind)
    return form.tag | {name: getattr(value, name) for name in form.readers}


def _build(kind: type, data: Any) -> Any:
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__} is no JSON object")
    form = _form(kind)
    if form.upgrade is not None:
        data = form.upgrade(data)
    if not form.required <= data.keys():
        raise ValueError(f"{kind.__name__} lacks {', '.join(sorted(form.required - data.keys()))}")
    readers, scalars = form.readers, form.scalars
    return kind(
        **{
            name: item if type(item) is scalars.get(name) else readers[name](item)
            for name, item in data.items()
            if name in readers
        }
    )


@dataclass(frozen=True, slots=True)
class _Form:
    """The readers of a dataclass: one for each field, the types of fields that need none, and the fields that must be there.

    Most fields are scalars, and a start reads tens of thousands: no function is called for them. `tag` is written beside the
    fields of an option of a union; `upgrade` turns a row of an earlier version into one of today.
    """

    readers: Mapping[str, _Reader]
    scalars: Mapping[str, type]
    required: frozenset[str]
    tag: dict[str, Any]
    upgrade: Callable[[dict[str, Any]], dict[str, Any]] | None


def _upgrade_step(row: dict[str, Any]) -> dict[str, Any]:
    """Returns the row of a step with its `work`: f9ac01c wrote a kind, and beside it the plan of an agent or none."""
    return row if "work" in row else {**row, "work": {**(row.get("agent") or {}), _TAG: row.get("kind")}}


_UPGRADES: Mapping[type, Callable[[dict[str, Any]], dict[str, Any]]] = {StepPlan: _upgrade_step}


@cache
def _form(kind: type) -> _Form:
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} has no form in JSON")
    hints = get_type_hints(kind)
    return _Form(
        {field.name: _reader(hints[field.name]) for field in fields(kind)},
        {name: hint for name, hint in hints.items() if hint in _SCALARS},
        frozenset(
            field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING
        ),
        {_TAG: getattr(kind, _TAG)} if get_origin(hints.get(_TAG)) is ClassVar else {},
        _UPGRADES.get(kind),
    )


def _reader(annotation: Any) -> _Reader:
    """Returns the function that reads one annotated value. Annotations outside this list are a defect of the vocabulary."""
    if get_origin(annotation) in (Union, UnionType):
        options = [option for option in get_args(annotation) if option is not NoneType]
        read = _reader(options[0]) if len(options) == 1 else _tagged_reader(options)
        return partial(_read_optional, read) if NoneType in get_args(annotation) else read
    if get_origin(annotation) is tuple:
        return _tuple_reader(get_args(annotation))
    if isinstance(annotation, type) and is_dataclass(annotation):
        return partial(_build, annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return annotation
    if annotation in _SCALARS:
        return partial(_read_scalar, annotation)
    return _reject(annotation)


def _reject(annotation: Any) -> _Reader:
    raise TypeError(f"{annotation} has no form in JSON")


def _tagged_reader(options: Sequence[type]) -> _Reader:
    tagged = {str(_form(option).tag[_TAG]): option for option in options if is_dataclass(option) and _form(option).tag}
    return partial(_read_tagged, tagged) if len(tagged) == len(options) else _reject(options)


def _tuple_reader(items: tuple[Any, ...]) -> _Reader:
    if len(items) == 2 and items[1] is Ellipsis:
        return partial(_read_tuple, _reader(items[0]))
    return partial(_read_record, tuple(_reader(item) for item in items))


def _read_optional(read: _Reader, value: Any) -> Any:
    return None if value is None else read(value)


def _read_tagged(options: Mapping[str, type], value: Any) -> Any:
    tag = value.get(_TAG) if isinstance(value, dict) else None
    if not isinstance(tag, str) or tag not in options:
        raise ValueError(f"the kind {tag!r} is none of {', '.join(options)}")
    return _build(options[tag], value)


def _read_tuple(read: _Reader, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} where a list belongs")
    return tuple(read(item) for item in value)


def _read_record(reads: tuple[_Reader, ...], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} where a list belongs")
    return tuple(read(item) for read, item in zip(reads, value, strict=True))


def _read_scalar(kind: type, value: Any) -> Any:
    fits = isinstance(value, (int, float)) if kind is float else isinstance(value, kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value
