"""Finds default values that calls share and change: the default is mutable and the function itself mutates it.

A mutable default that is only read is a matter of taste, and not given. Nor are asserts, except where they are the lock on a door.
"""

import ast
from collections.abc import Iterator

from ..finding import Severity, cite
from ..reading.python_source import Function, call_name, dotted, functions, walk
from ..reading.snapshot import SourceText
from ..sighting import Rule, Sighting

SHARED = Rule(
    "shared-default",
    Severity.MEDIUM,
    "A default argument in {path} is shared and changed by every call",
    "{count} default arguments are shared and changed by every call",
    "What one call adds, the next one finds.",
    "Default to None and make a new value inside.",
)
ASSERTED = Rule(
    "asserted-check",
    Severity.MEDIUM,
    "A security check in {path} is an assert",
    "{count} security checks are asserts",
    "Under `python -O` asserts are removed, and the check with them.",
    "Raise an error instead.",
)
_MUTATORS = {
    "append",
    "extend",
    "insert",
    "add",
    "update",
    "pop",
    "popitem",
    "setdefault",
    "remove",
    "discard",
    "clear",
    "sort",
}
_GUARDS = {"authenticate", "authorize", "authorise"}
_GUARDED = {"permission", "permissions", "signature", "csrf", "password", "token", "auth", "access"}
_CHECKING = {"check", "verify", "validate", "require", "ensure"}


def sightings(source: SourceText, tree: ast.Module) -> Iterator[Sighting]:
    """Yields each such default and each such assert of one file."""
    for function in functions(tree):
        for name, default in _mutable(function):
            place = _mutation(function, name)
            if place:
                detail = f"`{function.name}` changes its default `{name}={ast.unparse(default)}` in line {place}"
                yield Sighting(SHARED, cite(source.path, source.lines, function.lineno, function.lineno + 3), detail)
        if _guards(function.name):
            for node in walk(function):
                if isinstance(node, ast.Assert) and _is_check(node.test):
                    detail = f"`{function.name}` relies on `assert {ast.unparse(node.test)[:80]}`"
                    yield Sighting(ASSERTED, cite(source.path, source.lines, node.lineno), detail)


def _mutable(function: Function) -> Iterator[tuple[str, ast.expr]]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [
        *zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    for argument, default in pairs:
        fresh = isinstance(default, ast.List | ast.Dict | ast.Set) or _constructs(default)
        meant = argument.arg.startswith("_") or "cache" in argument.arg or "memo" in argument.arg
        if default is not None and fresh and not meant:
            yield argument.arg, default


def _guards(name: str) -> bool:
    words = set(name.lower().split("_"))
    return bool(words & _GUARDS or (words & _GUARDED and words & _CHECKING))


def _constructs(default: ast.expr | None) -> bool:
    return default is not None and call_name(default) in {"list", "dict", "set"}


def _mutation(function: Function, name: str) -> int:
    """Returns the first line in which the function changes the object; 0 when it does not, or rebinds the name."""
    line = 0
    for node in walk(function):
        match node:
            case ast.Name(id=bound, ctx=ast.Store() | ast.Del()) if bound == name:
                return 0
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=method)) if (
                owner == name and method in _MUTATORS
            ):
                line = line or node.lineno
            case ast.Subscript(value=ast.Name(id=owner), ctx=ast.Store() | ast.Del()) if owner == name:
                line = line or node.lineno
    return line


def _is_check(test: ast.expr) -> bool:
    """Returns whether an assert is a comparison or call that decides about a caller; narrowing of types and None is not."""
    if any(call_name(part) in {"isinstance", "issubclass", "callable", "hasattr", "len"} for part in walk(test)):
        return False
    match test:
        case ast.Compare(ops=[ast.Is() | ast.IsNot()]):
            return False
        case ast.Compare(left=left):
            return bool(dotted(left) or isinstance(left, ast.Call))
        case ast.Call():
            return True
        case _:
            return False
