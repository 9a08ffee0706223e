"""Reads YAML into nodes that know their lines, within bounds. It builds no objects and expands no aliases.

PyYAML is looked for beside the other packages of the host; where it is missing, nothing is parsed, and the caller says so.
"""

import importlib
import re
from collections.abc import Iterator
from typing import Any

yaml: Any
try:
    yaml = importlib.import_module("yaml")
except ImportError:  # the sandbox was given no packages
    yaml = None

MAX_CHARACTERS = 300_000
MAX_ENTRIES = 200
MAX_PLAIN_DEPTH = 8
# YAML counts lines at these too, and no other tool does.
_BREAKS = re.compile(r"[\x85\u2028\u2029]|\r(?!\n)")
Node = Any


def is_available() -> bool:
    """Returns whether there is a parser."""
    return yaml is not None


def parse(document: str) -> Node:
    """Returns the root of a document; None for text that is no YAML, too large or too deep."""
    if yaml is None or len(document) > MAX_CHARACTERS:
        return None
    try:
        # The parser in Python: its recursion ends in an error, where the one in C could end the process.
        return yaml.compose(_BREAKS.sub(" ", document), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


def entries(node: Node) -> Iterator[tuple[str, int, Node]]:
    """Yields key, line and value of a mapping, in the order of the text."""
    if yaml is not None and isinstance(node, yaml.MappingNode):
        for key, value in node.value[:MAX_ENTRIES]:
            if isinstance(key, yaml.ScalarNode):
                yield key.value, line(key), value


def child(node: Node, *path: str) -> Node:
    """Returns the value below keys; None where one is missing."""
    for name in path:
        node = next((value for key, _, value in entries(node) if key == name), None)
    return node


def items(node: Node) -> list[Node]:
    """Returns the items of a sequence."""
    return list(node.value[:MAX_ENTRIES]) if yaml is not None and isinstance(node, yaml.SequenceNode) else []


def text(node: Node) -> str:
    """Returns the text of a scalar; empty for anything else."""
    return str(node.value) if yaml is not None and isinstance(node, yaml.ScalarNode) else ""


def texts(node: Node) -> list[str]:
    """Returns the texts of a scalar, of a sequence of scalars, or the keys of a mapping."""
    own = text(node)
    return [own] if own else [text(item) for item in items(node)] or [key for key, _, _ in entries(node)]


def line(node: Node) -> int:
    """Returns the first line of a node, counted from 1."""
    return int(node.start_mark.line) + 1


def last_line(node: Node) -> int:
    """Returns the last line of a node, counted from 1."""
    mark = node.end_mark
    return int(mark.line) + bool(mark.column)


def plain(node: Node, depth: int = MAX_PLAIN_DEPTH) -> Any:
    """Returns a node as dictionaries, lists and texts, as deep as most files are."""
    if depth == 0 or node is None:
        return None
    held = {key: plain(value, depth - 1) for key, _, value in entries(node)}
    return held or [plain(item, depth - 1) for item in items(node)] or text(node)
