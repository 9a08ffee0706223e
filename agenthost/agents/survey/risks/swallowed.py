"""Finds handlers that make every exception vanish: a broad `except` whose body does nothing.

A handler that logs, re-raises, explains itself in a comment, guards an import, or stands where nothing better can be done
(clean-up, `__del__`) is not one. Narrow exceptions are never looked at.
"""

import ast
import re
from collections.abc import Iterator

from ..finding import Severity, cite, shorten
from ..reading.python_source import FUNCTIONS, Function, call_name, dotted, functions, walk, walk_scope
from ..reading.snapshot import SourceText
from ..sighting import Rule, Sighting

SILENT = Rule(
    "silent-handler",
    Severity.LOW,
    "Every exception is swallowed in silence by a handler in {path}",
    "{count} handlers in {files} swallow every exception in silence",
    "A programming error there looks like success and leaves no trace.",
    "Catch what is expected by name, or log what was caught.",
)
BARE = Rule(
    "bare-except",
    Severity.LOW,
    "A bare except also swallows KeyboardInterrupt and SystemExit in {path}",
    "{count} bare excepts also swallow KeyboardInterrupt and SystemExit",
    "Ctrl-C and an orderly exit vanish there along with every bug.",
    "Name the exceptions that are meant, or re-raise.",
)
_BROAD = {"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"}
# A marker for another checker is no explanation, but one that allows exactly this breadth is a decision.
_COMMENT = re.compile(
    r"#\s*(?!noqa|pragma|pylint|type:|nosec|pyright|flake8|mypy|lgtm|nopep8)\w|broad-except|bare-except|BLE001|S110|E722|B110",
    re.IGNORECASE,
)
_RESIGNED = re.compile(
    r"^__(del|exit|aexit|repr|str)__$|close|clean|shut_?down|stop|terminate|tear_?down|dispose|finali[sz]e|kill|atexit|rollback"
    r"|^_?(is|has|can|supports|safe|try|maybe|detect|guess|probe|check|repr|format|suppress|ignore)_|_safe(ly)?$|_or_none$|silent|^_?(handle|on)_.*(error|exception|fail)|revert|undo|unregister|release|disconnect",
    re.IGNORECASE,
)


_CLEANING = re.compile(
    r"(^|[._])(drop|close|rmtree|remove|delete|unlink|kill|terminate|collect|rollback|stop|cancel|clear|join|shutdown|flush)"
)


def sightings(source: SourceText, tree: ast.Module) -> Iterator[Sighting]:
    """Yields each such handler of one file."""
    for scope in [tree, *functions(tree)]:
        if isinstance(scope, FUNCTIONS) and _RESIGNED.search(scope.name):
            continue
        for node in walk_scope(scope):
            if isinstance(node, ast.Try) and not _guards_import(node):
                yield from _judge(source, scope, node)


def _judge(source: SourceText, scope: ast.Module | Function, node: ast.Try) -> Iterator[Sighting]:
    for handler in node.handlers:
        broad = handler.type is None or any(dotted(item) in _BROAD for item in _caught(handler))
        if not broad or not _is_idle(handler, node) or _explains(source, node, handler):
            continue
        where = f"`{scope.name}`" if isinstance(scope, FUNCTIONS) else "the module"
        guarded = shorten(" ".join(ast.unparse(node.body[0]).split()), 70)
        verb = "drops whatever"
        detail = f"{where} {verb} goes wrong in `{guarded}`{' and what follows it' if len(node.body) > 1 else ''}"
        end = min(handler.end_lineno or handler.lineno, handler.lineno + 3)
        yield Sighting(
            BARE if handler.type is None else SILENT, cite(source.path, source.lines, handler.lineno, end), detail
        )


def _caught(handler: ast.ExceptHandler) -> list[ast.expr]:
    if isinstance(handler.type, ast.Tuple):
        return handler.type.elts
    return [handler.type] if handler.type else []


def _is_idle(handler: ast.ExceptHandler, node: ast.Try) -> bool:
    match handler.body:
        case [ast.Pass() | ast.Continue() | ast.Expr(value=ast.Constant())]:
            return not _is_trivial(node)
        case _:
            return False


def _is_trivial(node: ast.Try) -> bool:
    """Returns whether a handler is harmless: a probe with `else`, plain attributes, or clean-up that nothing depends on."""
    calls = [call_name(part) for statement in node.body for part in walk(statement) if isinstance(part, ast.Call)]
    return bool(node.orelse) or not calls or all(_CLEANING.search(name) for name in calls)


def _guards_import(node: ast.Try) -> bool:
    return any(isinstance(statement, ast.Import | ast.ImportFrom) for statement in node.body)


def _explains(source: SourceText, node: ast.Try, handler: ast.ExceptHandler) -> bool:
    end = handler.end_lineno or handler.lineno
    region = [*source.lines[max(node.lineno - 2, 0) : node.lineno], *source.lines[handler.lineno - 2 : end]]
    # What stands below its last statement is the handler's own only as far as it is indented like it.
    region += [line for line in source.lines[end : end + 1] if len(line) - len(line.lstrip()) > handler.col_offset]
    return any(_COMMENT.search(line) for line in region)
