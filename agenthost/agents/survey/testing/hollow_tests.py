"""Finds Python tests that seem to check something but cannot fail, in forms that ruff and ast-grep have no rule for.

Each form is one in which Python itself leaves no doubt. A test that asserts nothing but may raise is not one of them.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ...reading.python_source import Function, call_name, dotted, functions, walk_scope
from ...reading.snapshot import SourceText
from ..finding import Finding, cite, shorten, sighting
from ..survey import Survey

TWO_ARGUMENTS = "lens:assert-true-of-two"
SWALLOWED = "lens:swallowed-assertion"
_TEST_FILE = re.compile(r"^(test_.*|.*_tests?|tests?)\.py$")


def find_powerless_tests(survey: Survey) -> Iterator[Finding]:
    """Yields the Python tests that cannot fail as they were meant to."""
    for source, tree in survey.python(survey.tests):
        if _TEST_FILE.match(PurePosixPath(source.path).name):
            for test in functions(tree):
                if test.name.startswith("test"):
                    yield from _judge(source, test)


def _judge(source: SourceText, test: Function) -> Iterator[Finding]:
    for node in walk_scope(test):
        match node:
            case ast.Expr(value=ast.Call(args=[_, ast.Constant(value=second)]) as call) if call_name(
                call
            ) == "self.assertTrue" and not isinstance(second, str):
                quote = cite(source, node.lineno, node.end_lineno)
                yield sighting(TWO_ARGUMENTS, quote, f"`{test.name}` says `{_short(node)}`")
            case ast.Try(body=body, handlers=[first, *_] as handlers) if any(map(_drops, handlers)):
                check = next((item for item in body if isinstance(item, ast.Assert) or _asserts(item)), None)
                if check:
                    quote = cite(source, check.lineno, first.lineno + 1)
                    yield sighting(SWALLOWED, quote, f"`{test.name}` drops the failure of `{_short(check)}`")


def _short(node: ast.stmt) -> str:
    return shorten(" ".join(ast.unparse(node).split()), 80)


def _asserts(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and call_name(node.value).startswith("self.assert")


def _drops(handler: ast.ExceptHandler) -> bool:
    """Tells whether a handler makes the failure of an assertion vanish."""
    broad = handler.type is None or dotted(handler.type) in {"Exception", "BaseException", "AssertionError"}
    return broad and all(isinstance(item, ast.Pass | ast.Continue) for item in handler.body)
