"""Reads personas: Markdown with YAML front matter, the form of users' own agent files.

Only the body goes into a prompt. The front matter of a foreign file may hold any key, and is often not quite YAML (an unquoted
colon in a description): then its simple lines are read one by one. No front matter fails a flow.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conductor.flows.language.document import Node

MAX_PERSONA_CHARACTERS = 64 * 1024
_FENCE = "---"


@dataclass(frozen=True, slots=True)
class Persona:
    """A persona. Tools and models in its file are ignored: the host decides those, and the flow's author names the agent."""

    name: str
    description: str
    text: str


def parse_persona(text: str, file_name: str) -> Persona:
    """Returns the persona in a file's text. Its default name is the file's."""
    head, body = _split(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    values = _values(head)
    return Persona(
        name=values.get("name") or file_name,
        description=values.get("description", ""),
        text=body.strip(),
    )


def _split(text: str) -> tuple[str, str]:
    """Returns front matter and body. Front matter without an end is part of the body."""
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return "", text
    for index, line in enumerate(lines[1:], start=1):
        if line.rstrip() == _FENCE:
            return "\n".join(lines[1:index]), "\n".join(lines[index + 1 :])
    return "", text


def _values(head: str) -> dict[str, str]:
    # An idle conductor reads no persona, and does without the library of YAML.
    from conductor.flows.language.document import DocumentError, read_document  # noqa: PLC0415

    try:
        value = read_document(head.encode())[0].value
    except DocumentError:
        value = None
    if isinstance(value, dict):
        return {key: _text(member) for key, member in value.items()}
    pairs = (line.split(":", 1) for line in head.split("\n") if ":" in line and not line.startswith((" ", "\t", "#")))
    return {key.strip(): value.strip() for key, value in pairs}


def _text(node: "Node") -> str:
    """Returns a value as it is written: a name such as 1.10 is no number."""
    if isinstance(node.value, (dict, list)) or node.value is None:
        return ""
    return (node.source or str(node.value)).strip()
