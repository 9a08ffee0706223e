"""Parses Python text into a tree, and asks small questions of trees.

Hostile text must not hurt: a file over which the parser raises is not parsed. Nothing is compiled or run.
"""

import ast
import warnings
from collections.abc import Iterator

from .snapshot import SourceText

MAX_PARSED_CHARACTERS = 600_000
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_HOLDERS = (ast.stmt, ast.excepthandler, ast.match_case)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def parse(source: SourceText) -> ast.Module | None:
    """Returns the tree, or None for text that is not Python of this interpreter's version, or not safely parsed."""
    if len(source.text) > MAX_PARSED_CHARACTERS or "\r" in source.text.replace("\r\n", "\n") or "\f" in source.text:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source.text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def walk_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Yields what belongs to this function or module itself, not to the functions and classes inside it."""
    stack = _children(node)[::-1]
    while stack:
        current = stack.pop()
        yield current
        if not isinstance(current, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            stack.extend(reversed(_children(current)))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yields every function, methods and nested ones too."""
    stack = [tree]
    while stack:
        current = stack.pop()
        if isinstance(current, FUNCTIONS):
            yield current
        # Functions are statements: no expression needs to be entered to find them all.
        stack.extend(child for child in reversed(_children(current)) if isinstance(child, _HOLDERS))


def _children(node: ast.AST) -> list[ast.AST]:
    """Returns the children as `ast.iter_child_nodes` does, without load and store marks, in a third of its time."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST) and name != "ctx":
            found.append(value)
    return found


def dotted(node: ast.AST | None) -> str:
    """Returns a name or an attribute chain as `a.b.c`; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


def call_name(node: ast.AST) -> str:
    """Returns the dotted name that a call calls; empty for anything else."""
    return dotted(node.func) if isinstance(node, ast.Call) else ""
