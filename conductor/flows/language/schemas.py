"""JSON schemas of authors; here that of a flow's extra inputs: judged with the flow, and applied to the inputs of a run.

A schema is judged by the draft that its `$schema` names, and by draft 2020-12 where it names none.

A schema never leads to the network: its references reach its own parts only. Patterns are the author's, so this runs in worker
processes (rule 5) and in the CLI's `validate`.

jsonschema is imported only when there is a schema: few flows have one, and the import is a quarter of a worker's start.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from servicekit.errors import shown, there_are

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

MAX_SCHEMA_BYTES = 64 * 1024
MAX_VIOLATIONS = 50
# Applied to one value: 25 parts that each name the one before it twice would be applied 33 million times.
MAX_PARTS = 300_000
_DRAFTS = {
    "draft-04": "https://json-schema.org/draft-04/schema",
    "draft-06": "https://json-schema.org/draft-06/schema",
    "draft-07": "https://json-schema.org/draft-07/schema",
    "2019-09": "https://json-schema.org/draft/2019-09/schema",
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
}
_CLASSES = {
    "draft-04": "Draft4Validator",
    "draft-06": "Draft6Validator",
    "draft-07": "Draft7Validator",
    "2019-09": "Draft201909Validator",
    "2020-12": "Draft202012Validator",
}
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_FORBIDDEN = ("question", "band")
_OPENING = frozenset(
    {
        *("additionalProperties", "unevaluatedProperties", "patternProperties", "dependentSchemas"),
        *("allOf", "anyOf", "oneOf", "if", "$ref"),
    }
)
_EMPTY: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


class EndlessSchemaError(Exception):
    """A schema cannot be applied to a value: it refers to itself without end, or computes what no number holds."""


def schema_problems(schema: Mapping[str, Any]) -> list[str]:
    """Returns the problems of an `input_schema`; an empty one has none."""
    if not schema:
        return []
    faults = schema_faults(schema)
    if not faults and schema.get("type", "object") != "object":
        return ["type must be object: inputs are named"]
    properties = schema.get("properties")
    taken = [name for name in _FORBIDDEN if isinstance(properties, Mapping) and name in properties]
    return [*(f"properties.{name}: is there without being declared" for name in taken), *faults]


def schema_faults(schema: Mapping[str, Any]) -> list[str]:
    """Returns what makes a schema none: its draft, its form, references that lead nowhere, patterns that cannot be read."""
    if len(json.dumps(schema)) > MAX_SCHEMA_BYTES:
        return [f"is larger than {MAX_SCHEMA_BYTES} bytes"]
    draft = _draft(schema)
    if draft is None:
        return [f"$schema is {str(schema['$schema'])[:100]!r}, but only these drafts are known: {', '.join(_DRAFTS)}"]
    meta = draft(draft.META_SCHEMA)
    faults = (f"{describe_path(error.absolute_path)}: {_fault(error)}" for error in meta.iter_errors(schema))
    found = [fault.removeprefix(": ") for fault in islice(faults, MAX_VIOLATIONS)]
    return found or [*_dangling(schema), *_unreadable_patterns(schema)]


def _fault(error: "ValidationError") -> str:
    """Returns the fault of a schema; of a type that JSON does not have, the types there are."""
    if isinstance(error.instance, str) and error.absolute_path and error.absolute_path[-1] == "type":
        return f"there is no type {shown(error.instance)}{there_are(error.instance, _TYPES)}"
    return str(error.message)


def _dangling(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yields references that lead nowhere, by following each."""
    import referencing.jsonschema

    resolver = referencing.Registry().resolver_with_root(
        referencing.Resource.from_contents(dict(schema), default_specification=referencing.jsonschema.DRAFT202012)
    )
    for reference in _references(schema):
        try:
            is_schema = isinstance(resolver.lookup(reference).contents, Mapping | bool)
        except (referencing.exceptions.Unresolvable, LookupError, ValueError, TypeError):
            is_schema = False
        if not is_schema:
            yield f"$ref '{reference}' leads nowhere: a schema can refer only to its own parts"


def _unreadable_patterns(value: Any) -> Iterator[str]:
    """Yields invalid regular expressions, which the meta-schema does not check."""
    match value:
        case Mapping():
            pattern, by_pattern = value.get("pattern"), value.get("patternProperties")
            found = [pattern] if isinstance(pattern, str) else []
            for each in [*found, *(by_pattern if isinstance(by_pattern, Mapping) else ())]:
                try:
                    re.compile(each)
                except (re.error, OverflowError, RecursionError) as error:
                    yield f"pattern '{each[:100]}' is not a regular expression: {error}"
            for member in value.values():
                yield from _unreadable_patterns(member)
        case list():
            for member in value:
                yield from _unreadable_patterns(member)


def _references(value: Any) -> Iterator[str]:
    match value:
        case Mapping():
            if isinstance(reference := value.get("$ref"), str):
                yield reference
            for member in value.values():
                yield from _references(member)
        case list():
            for member in value:
                yield from _references(member)


def is_open(schema: Mapping[str, Any]) -> bool:
    """Returns whether the schema says what is allowed beside its `properties`. Otherwise nothing else is."""
    return any(name in schema for name in _OPENING)


def with_defaults(schema: Mapping[str, Any], extras: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the extras, with the schema's top-level defaults for missing ones."""
    properties = schema.get("properties") or {}
    defaults = {
        name: member["default"]
        for name, member in properties.items()
        if isinstance(member, Mapping) and "default" in member
    }
    return {**defaults, **extras}


def input_violations(schema: Mapping[str, Any], extras: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the problems of the extras, with fields such as `inputs.depth`. An undeclared one is, unless the schema is open."""
    if not schema and not extras:
        return []
    closed = dict(schema) if is_open(schema) else {"additionalProperties": False, **(schema or _EMPTY)}
    try:
        errors = errors_of(closed, dict(extras), MAX_VIOLATIONS)
    except EndlessSchemaError as error:
        return [("inputs", f"cannot be judged against this flow: its input_schema {error}")]
    return [violation for error in errors for violation in _violations(error, closed, extras)]


def _violations(
    error: "ValidationError", schema: Mapping[str, Any], extras: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yields the problem of one fault; of inputs that are not declared, one each, with the names there are."""
    if list(error.absolute_schema_path) != ["additionalProperties"] or "patternProperties" in schema:
        place = describe_path(error.absolute_path)
        yield ".".join(part for part in ("inputs", place) if part), error.message[:500]
        return
    known = sorted(schema.get("properties", {}))
    for name in islice((name for name in extras if name not in known), MAX_VIOLATIONS):
        yield "inputs", f"there is no input '{name[:100]}'{there_are(name[:100], known)}"


def errors_of(schema: Mapping[str, Any], value: Any, most: int) -> "list[ValidationError]":
    """Returns the first faults of a value. Raises EndlessSchemaError."""
    import jsonschema
    import referencing

    draft = _draft(schema) or jsonschema.Draft202012Validator
    # An explicit registry: the default one would fetch references.
    validator = _bounded(draft)(dict(schema), registry=referencing.Registry())
    try:
        return list(islice(validator.iter_errors(value), most))
    except RecursionError as error:
        raise EndlessSchemaError("refers to itself without end") from error
    except (ArithmeticError, referencing.exceptions.Unresolvable) as error:
        raise EndlessSchemaError(f"cannot be applied: {error}"[:500]) from error


def _bounded(draft: "type[Validator]") -> "type[Validator]":
    """Returns a draft's validator that applies MAX_PARTS parts at most, also those that name a draft of their own."""
    import jsonschema

    applied, made = count(1), dict[Any, Any]()

    def evolve(self: Any, **changes: Any) -> Any:
        """Returns the validator of a part: jsonschema asks for one whenever it applies or follows one."""
        if next(applied) > MAX_PARTS:
            raise EndlessSchemaError(f"applies more than {MAX_PARTS} parts to one value: let fewer parts name others")
        part = {"schema": self.schema, "registry": self._registry, "_resolver": self._resolver, **changes}
        named = jsonschema.validators.validator_for(part["schema"], default=type(self))
        return (named if named is type(self) else bounded(named))(**part)

    def bounded(named: "type[Validator]") -> "type[Validator]":
        if named not in made:
            made[named] = jsonschema.validators.extend(named)  # type: ignore[no-untyped-call]
            made[named].evolve = evolve
        found: type[Validator] = made[named]
        return found

    return bounded(draft)


def _draft(schema: Mapping[str, Any]) -> "type[Validator] | None":
    """Returns the validator of the schema's own draft; None where the draft is not known."""
    import jsonschema

    named = schema.get("$schema", _DRAFTS["2020-12"])
    address = str(named).removesuffix("#").replace("http://", "https://")
    names = {known: name for name, known in _DRAFTS.items()}
    found: type[Validator] | None = getattr(jsonschema, _CLASSES.get(names.get(address, ""), ""), None)
    return found


def describe_path(parts: Any) -> str:
    """Returns a place inside a value, as `list[2].name`; empty for the value itself."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
