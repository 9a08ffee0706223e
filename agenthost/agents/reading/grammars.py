"""Parses code with tree-sitter, where its grammars are installed.

The grammars recover from errors, so a tree may hold nodes that are none; who reads it looks at `has_error`. Nothing is run.
"""

import importlib
import time
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from ..files import language
from .snapshot import SourceText

MAX_PARSED_CHARACTERS = 1_000_000
# A line this long is data or minified, and costs a parser more than it tells.
MAX_COLUMNS = 20_000
MAX_SECONDS = 2.0
CHUNK = 65_536
MAX_ERRORS = 1000
MAX_SIBLINGS = 4000
MAX_NODES = 600_000  # code has a node for every three or four characters
_TSX = "TSX"
_GRAMMARS = {
    "Python": ("tree_sitter_python", "language"),
    "JavaScript": ("tree_sitter_javascript", "language"),
    "TypeScript": ("tree_sitter_typescript", "language_typescript"),
    _TSX: ("tree_sitter_typescript", "language_tsx"),
    "Go": ("tree_sitter_go", "language"),
    "Java": ("tree_sitter_java", "language"),
    "Kotlin": ("tree_sitter_kotlin", "language"),
    "Rust": ("tree_sitter_rust", "language"),
    "C": ("tree_sitter_c", "language"),
    "C++": ("tree_sitter_cpp", "language"),
    "Ruby": ("tree_sitter_ruby", "language"),
    "PHP": ("tree_sitter_php", "language_php"),
    "C#": ("tree_sitter_c_sharp", "language"),
    "Shell": ("tree_sitter_bash", "language"),
    "Swift": ("tree_sitter_swift", "language"),
}
# Nodes are foreign objects: their types belong to a package that may be absent.
Node = Any


class Clock:
    """Ends what costs a parser too much processor time: text that is made to do so."""

    def __init__(self) -> None:
        self.is_late = False
        self._end = time.process_time() + MAX_SECONDS

    def __call__(self, *_: object) -> bool:
        """Returns whether the parser must stop."""
        self.is_late = self.is_late or time.process_time() > self._end
        return self.is_late


@dataclass(frozen=True, slots=True)
class Grammar:
    """A language of tree-sitter, with its parser."""

    name: str
    language: Any
    parser: Any

    def find(self, query: str, node: Node) -> dict[str, list[Node]]:
        """Returns the nodes below a node that a query captures, by the capture's name."""
        found: dict[str, list[Node]] = _cursor(self.language, query).captures(node)
        return found


def parse_tree(source: SourceText) -> tuple[Grammar, Node] | None:
    """Returns the grammar and the root of the tree; None without a grammar, or for text that is too long to parse."""
    name = language(source.path)
    grammar = load(_TSX if PurePosixPath(source.path).suffix.lower() == ".tsx" else name)
    if grammar is None or len(source.text) > MAX_PARSED_CHARACTERS or any(len(x) > MAX_COLUMNS for x in source.lines):
        return None
    content, clock = source.text.encode("utf-8", "replace"), Clock()
    try:
        tree = grammar.parser.parse(lambda at, _: content[at : at + CHUNK], progress_callback=clock)
    except ValueError:
        tree = None
    if tree is None or clock.is_late:
        grammar.parser.reset()
        return None
    return None if _is_wild(tree.root_node) else (grammar, tree.root_node)


def _is_wild(root: Node) -> bool:
    """Returns whether a tree has far too many nodes, or an error spans thousands: searching them takes quadratic time."""
    if root.descendant_count > MAX_NODES:
        return True
    waiting, looked = [root], 0
    while waiting and looked < MAX_ERRORS:
        node, looked = waiting.pop(), looked + 1
        if node.type == "ERROR" and node.child_count > MAX_SIBLINGS:
            return True
        waiting += [child for child in node.children if child.has_error]
    return False


def is_absent(name: str) -> bool:
    """Returns whether a grammar for the language exists that this host lacks."""
    return name in _GRAMMARS and load(name) is None


@cache
def load(name: str) -> Grammar | None:
    """Returns the grammar of a language; None where it is unknown or not installed."""
    if name not in _GRAMMARS:
        return None
    module, function = _GRAMMARS[name]
    try:
        library = importlib.import_module("tree_sitter")
        parsed = library.Language(getattr(importlib.import_module(module), function)())
    except (ImportError, OSError, ValueError, AttributeError):
        return None
    return Grammar(name, parsed, library.Parser(parsed))


@cache
def _cursor(parsed: Any, query: str) -> Any:
    library = importlib.import_module("tree_sitter")
    return library.QueryCursor(library.Query(parsed, query))


def text(node: Node | None) -> str:
    """Returns the text of a node; empty for none."""
    return str(node.text.decode("utf-8", "replace")) if node is not None and node.text else ""


def lines(node: Node) -> tuple[int, int]:
    """Returns the first and last line of a node, counted from 1."""
    last = node.end_point[0] + (node.end_point[1] > 0 or node.end_point == node.start_point)
    return node.start_point[0] + 1, max(last, node.start_point[0] + 1)
