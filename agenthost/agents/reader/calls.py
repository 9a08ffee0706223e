"""Finds the tool calls in a model's reply, in whichever of the usual forms it writes them.

Small models write calls as text: in `<tool_call>` tags, in fenced JSON, or as one bare object. Only an object that names a tool
counts, so that JSON in an answer stays an answer. Arguments that are broken JSON are mended where the mend is certain.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_CALLS = 8
_TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_FENCED = re.compile(r"```[a-z_]*\n(.*?)(?:```|\Z)", re.DOTALL)
_NAMED = re.compile(r'"(?:name|tool|function)"\s*:\s*"([a-z_]+)"')
_TRAILING_COMMA = re.compile(r",\s*([}\]])")


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that the model wants to use. `error` says what is wrong with its arguments."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    error: str = ""


def native_calls(raw: list[dict[str, str]]) -> list[Call]:
    """Reads the calls of the API's own field; each has `id`, `name` and `arguments` as text."""
    return [
        _call(one.get("id") or f"call_{number}", one.get("name", ""), one.get("arguments", ""))
        for number, one in enumerate(raw[:MAX_CALLS])
    ]


def written_calls(text: str, names: Collection[str]) -> list[Call]:
    """Reads the calls that a reply holds as text."""
    found = list[Call]()
    for piece in _pieces(text):
        value = parsed(piece)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict) and (name := _name(one)) in names:
                found.append(Call(f"call_{len(found)}", name, _arguments(one)))
    return found[:MAX_CALLS]


def is_broken_call(text: str, names: Collection[str]) -> bool:
    """Returns whether a reply was meant as a call: it begins one, or is JSON about a tool, and no call can be read in it."""
    if "<tool_call" in text:
        return True
    named = _NAMED.search(text) if text.lstrip().startswith(("{", "[", "```")) else None
    return named is not None and named[1] in names


def _pieces(text: str) -> Iterator[str]:
    tagged = [match[1] for match in _TAGGED.finditer(text)]
    if tagged:
        yield from tagged
        return
    yield from (match[1] for match in _FENCED.finditer(text))
    stripped = text.strip()
    if stripped.startswith(("{", "[")):
        yield stripped


def _name(value: Mapping[str, Any]) -> str:
    function = value.get("function")
    name = value.get("name") or value.get("tool") or (function.get("name") if isinstance(function, dict) else function)
    return name if isinstance(name, str) else ""


def _arguments(value: Mapping[str, Any]) -> Mapping[str, Any]:
    function = value.get("function")
    holder = function if isinstance(function, dict) else value
    given: Any = next((holder[key] for key in ("arguments", "parameters", "args", "input") if key in holder), {})
    read = parsed(given) if isinstance(given, str) else given
    return read if isinstance(read, dict) else {}


def _call(call_id: str, name: str, arguments: str) -> Call:
    read = parsed(arguments) if arguments.strip() else {}
    if isinstance(read, dict):
        return Call(call_id, name, read)
    return Call(call_id, name, {}, f"the arguments are no JSON object: {arguments[:200]}")


def parsed(text: str) -> Any:
    """Returns JSON; mends trailing commas, a missing end and raw line breaks in texts. None where that does not help."""
    text = text.strip()
    for candidate in (text, _TRAILING_COMMA.sub(r"\1", text), _closed(text)):
        try:
            return json.loads(candidate, strict=False)
        except (ValueError, RecursionError):
            continue
    return None


def _closed(text: str) -> str:
    """Adds the brackets that a reply which broke off lacks."""
    stack, in_text, escaped = list[str](), False, False
    for character in text:
        if in_text:
            in_text = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_text = True
        elif character in "{[":
            stack.append("}" if character == "{" else "]")
        elif character in "}]" and stack:
            stack.pop()
    return text + ('"' if in_text else "") + "".join(reversed(stack))
