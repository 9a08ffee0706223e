"""Judges expressions: is a text built out of values, does it come from outside, is a value written into SQL.

It looks at one expression only; where a name comes from is the caller's matter.
"""

import ast
import itertools
import re
from collections.abc import Iterator

from ..reading.python_source import call_name, dotted, resolved, walk

_HARMLESS_CALLS = {
    "shlex.quote",
    "pipes.quote",
    "quote",
    "shell_quote",
    "cmd_quote",
    "int",
    "len",
    "os.getpid",
    "shlex.join",
}
_HARMLESS_NAMES = {"sys.executable", "os.devnull", "__file__", "os.sep", "os.pathsep"}
_OUTSIDE_CALLS = {
    *("input", "os.getenv", "os.environ.get", "urllib.request.urlopen", "requests.get", "requests.post", "httpx.get"),
    *("sys.stdin.read", "sys.stdin.readline"),
}
_OUTSIDE_VALUES = {"sys.argv", "os.environ"}
_REQUEST = re.compile(r"^(self\.)?request\.(args|form|data|json|body|GET|POST|query|params|cookies|headers|values)\b")
_SQL = re.compile(r"\b(select\b.+\bfrom|insert\s+into|update\b.+\bset|delete\s+from)\b", re.IGNORECASE | re.DOTALL)
_VALUE_PLACE = re.compile(r"(=|<|>|\blike|\bvalues\s*\(|,)\s*['\"]%?$", re.IGNORECASE)


def is_built(node: ast.expr) -> bool:
    """Tells whether a text is put together from parts that could hold anything."""
    parts = list(_inserted(node))
    return bool(parts) and not all(_is_harmless(part) for part in parts)


def comes_from_outside(node: ast.expr, bound: dict[str, str]) -> bool:
    """Tells whether an expression itself reads from the user, the network or a request."""
    for part in walk(node):
        called = call_name(part)
        if (resolved(called, bound) or called) in _OUTSIDE_CALLS or called.endswith((".recv", ".recvfrom")):
            return True
        if isinstance(part, ast.Attribute) and (
            _REQUEST.match(dotted(part)) or resolved(dotted(part), bound) in _OUTSIDE_VALUES
        ):
            return True
    return False


def sql_value_inserted(node: ast.expr) -> bool:
    """Tells whether a value is written between quotes into a statement; names of tables and columns are another matter."""
    match node:
        case ast.JoinedStr(values=values):
            texts = [part.value if isinstance(part, ast.Constant) else None for part in values]
            whole = "".join(str(text) for text in texts if text is not None)
            places = [str(before or "") for before, here in itertools.pairwise(texts) if here is None]
        case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str(whole))):
            places = re.split(r"%s", whole)[:-1]
        case _:
            return False
    return bool(_SQL.search(whole)) and any(_VALUE_PLACE.search(place) for place in places)


def _inserted(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.JoinedStr(values=values):
            for value in values:
                if isinstance(value, ast.FormattedValue):
                    yield value.value
        case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str()), right=right):
            yield from right.elts if isinstance(right, ast.Tuple) else [right]
        case ast.BinOp(op=ast.Add()):
            terms = _terms(node)
            if any(isinstance(term, ast.Constant | ast.JoinedStr) for term in terms):
                yield from (term for term in terms if not isinstance(term, ast.Constant))
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant(value=str()))):
            yield from [*node.args, *(item.value for item in node.keywords)]


def _terms(node: ast.expr) -> list[ast.expr]:
    terms: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        terms.append(node.right)
        node = node.left
    return [node, *reversed(terms)]


def _is_harmless(node: ast.expr) -> bool:
    name = dotted(node)
    return (
        isinstance(node, ast.Constant)
        or call_name(node) in _HARMLESS_CALLS
        or name in _HARMLESS_NAMES
        or name.rpartition(".")[2].isupper()
        or (isinstance(node, ast.JoinedStr) and not is_built(node))
    )
