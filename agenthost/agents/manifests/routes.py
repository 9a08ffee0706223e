"""Finds routes of FastAPI and Flask that a file registers twice: the first function answers, and the second is never called."""

import ast
from collections import Counter
from collections.abc import Iterator

from ..files import is_example, is_test, is_vendored
from ..survey.finding import Finding, cite, sighting
from ..survey.survey import Survey

TWICE = "lens:route-twice"
_MAKERS = frozenset({"FastAPI", "APIRouter", "Flask", "Blueprint"})
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})
_CHOOSING = frozenset({"host", "subdomain", "defaults", "websocket"})  # settings by which two routes differ


def find_routes_twice(survey: Survey) -> Iterator[Finding]:
    """Yields each route whose method and path an earlier function of the module has taken, on the same object."""
    for path in survey.snapshot.paths:
        if not path.endswith(".py") or is_test(path) or is_example(path) or is_vendored(path):
            continue
        source = survey.snapshot.read(path)
        if source is None or ("fastapi" not in source.text and "flask" not in source.text):
            continue
        seen = set()
        for route, number in _routes(source.text):
            if route in seen:
                title = f'`{route[0]}.{route[1]}("{route[2]}")` is registered twice, and the second is never called'
                yield sighting(TWICE, cite(source, number), title)
            seen.add(route)


def _routes(text: str) -> Iterator[tuple[tuple[str, str, str], int]]:
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return
    made = Counter(_made(statement) for statement in body)
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            for call in statement.decorator_list:
                match call:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name(id=name), attr=method),
                        args=[ast.Constant(value=str(route))],
                        keywords=keywords,
                    ) if method in _METHODS and made[name] == 1 and _CHOOSING.isdisjoint(one.arg for one in keywords):
                        yield (name, method, route), call.lineno


def _made(statement: ast.stmt) -> str:
    """Returns the name that a statement gives to an application or a router; nothing for another statement."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id=maker))) if maker in _MAKERS:
            return name
    return ""
