"""The JSON schema of a step's `output`: judged with the flow, shown to the agent, and applied to what it answers.

Only objects and lists can be asked for: nothing else can be told from prose. Patterns are the author's and values the agent's, so
this runs in worker processes (rule 5) and in the CLI's `validate`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from conductor.flows.language.schemas import EndlessSchemaError, describe_path, errors_of, is_open, schema_faults

MAX_ERRORS = 20
MAX_ERROR_CHARACTERS = 400
MAX_SKELETON_DEPTH = 6
MAX_SKELETON_MEMBERS = 40
# A place with a quote is looked for in the snapshot, and gets how it was judged.
_JUDGED: dict[str, Mapping[str, Any]] = {
    "status": {"type": "string"},
    "actual_start_line": {"type": "integer"},
    "reason": {"type": "string"},
}
_KINDS = ("object", "array")


def output_problems(schema: Mapping[str, Any]) -> list[str]:
    """Returns the problems of an output's schema."""
    if not schema:
        return ["must say what the output is, as {type: object, properties: …}"]
    if faults := schema_faults(schema):
        return faults
    if schema.get("type") not in _KINDS:
        return ["type must be object or array, and be given: nothing else can be told from prose"]
    try:
        errors_of(schema, {} if schema["type"] == "object" else [], 1)
    except EndlessSchemaError as error:
        return [str(error)]
    return []


def output_errors(schema: Mapping[str, Any], value: Any) -> list[str]:
    """Returns what is wrong with a value, a sentence each with its place."""
    try:
        errors = errors_of(schema, value, MAX_ERRORS)
    except EndlessSchemaError as error:
        return [f"the schema {error}"]
    return [
        f"{describe_path(error.absolute_path) or 'the value'}: {error.message}"[:MAX_ERROR_CHARACTERS]
        for error in errors
    ]


def list_path(schema: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Returns where the list stands that `min_items` counts: the value itself, or its only member that is a list; None for none."""
    if schema.get("type") == "array":
        return ()
    lists = [name for name, member in _members(schema) if _kind(member) == "array"]
    return (lists[0],) if len(lists) == 1 else None


def closed_members(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]] | None:
    """Returns the members of an object, by name; None where the schema does not say which there are."""
    if _kind(schema) != "object" or is_open(schema) or not isinstance(schema.get("properties"), Mapping):
        return None
    members = {name: member if isinstance(member, Mapping) else {} for name, member in _members(schema)}
    return {**members, **_JUDGED} if {"path", "quote"} <= members.keys() else members


def skeleton(schema: Mapping[str, Any]) -> str:
    """Returns the form of a value as a person would sketch it: small models follow that better than a schema."""
    examples = schema.get("examples")
    shown = examples[0] if isinstance(examples, list) and examples else _sketch(schema, MAX_SKELETON_DEPTH)
    return json.dumps(shown, indent=2, ensure_ascii=False)


def allowed_words(schema: Any) -> Iterator[str]:
    """Yields the texts that a schema itself names as values: none of them is a mere placeholder."""
    match schema:
        case Mapping():
            named = [*(schema["enum"] if isinstance(schema.get("enum"), list) else ()), schema.get("const")]
            yield from (word for word in named if isinstance(word, str))
            for member in schema.values():
                yield from allowed_words(member)
        case list():
            for member in schema:
                yield from allowed_words(member)


def _sketch(schema: Any, levels: int) -> Any:
    if not isinstance(schema, Mapping) or not levels:
        return "…"
    if isinstance(choices := schema.get("enum"), list):
        return " | ".join(map(str, choices))
    match _kind(schema):
        case "object":
            members = list(_members(schema))[:MAX_SKELETON_MEMBERS]
            return {name: _sketch(member, levels - 1) for name, member in members}
        case "array":
            return [_sketch(schema.get("items"), levels - 1)]
        case kind:
            return schema.get("const", f"<{schema.get('description') or kind or 'any value'}>")


def _members(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the members of an object, always in one order: messages keep none, but the list of those that are required does."""
    properties, required = schema.get("properties"), schema.get("required")
    members = dict(sorted(properties.items())) if isinstance(properties, Mapping) else {}
    first = [name for name in required if name in members] if isinstance(required, list) else []
    yield from ((name, members[name]) for name in dict.fromkeys((*first, *members)))


def _kind(schema: Any) -> str:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return kind if isinstance(kind, str) else ""
