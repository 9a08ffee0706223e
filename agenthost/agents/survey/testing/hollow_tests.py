"""Finds Python tests that seem to check something but cannot fail: shadowed, comparing without use, or asserting a tuple.

Each form is one in which Python itself leaves no doubt. A test that asserts nothing but may raise is not one of them.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ..finding import Severity, cite, shorten
from ..reading.python_source import FUNCTIONS, Function, call_name, dotted, functions, walk_scope
from ..reading.snapshot import SourceText
from ..sighting import Rule, Sighting

SHADOWED = Rule(
    "lens:shadowed-test",
    Severity.MEDIUM,
    "A test never runs, because a later one has its name",
    "{count} tests in {files} never run, because later ones have their names",
    "The second definition replaces the first before any runner sees it.",
    "Rename one of the two.",
)
VAIN = Rule(
    "lens:vain-comparison",
    Severity.MEDIUM,
    "A comparison in a test is never checked",
    "{count} comparisons in tests are never checked",
    "The statement computes a truth value and drops it.",
    "Put the `assert` in front that seems to be missing.",
)
TUPLE = Rule(
    "lens:tuple-assertion",
    Severity.MEDIUM,
    "An assertion can never fail, since it asserts a tuple",
    "{count} assertions can never fail, since they assert a tuple",
    "A tuple that is not empty is always true.",
    "Remove the parentheses.",
)
MOCKED = Rule(
    "lens:uncalled-mock-assertion",
    Severity.MEDIUM,
    "A mock assertion is never made",
    "{count} mock assertions are never made",
    "Naming the method without calling it, or calling one that the mock invents, checks nothing.",
    "Call one of the mock's own assertions.",
)
TWO_ARGUMENTS = Rule(
    "lens:assert-true-of-two",
    Severity.MEDIUM,
    "assertTrue is given a second value as if it compared",
    "assertTrue is given a second value as if it compared in {count} places",
    "The second argument is only the message; any true first value passes.",
    "Use assertEqual, which seems to be meant.",
)
SWALLOWED = Rule(
    "lens:swallowed-assertion",
    Severity.MEDIUM,
    "An assertion in a test is swallowed, so the test passes when it fails",
    "{count} assertions in tests are swallowed, so the tests pass when they fail",
    "An assertion fails by an exception, and the handler drops it.",
    "Take the assertion out of the `try`, or name the exception that is expected.",
)
_TEST_FILE = re.compile(r"^(test_.*|.*_tests?|tests?)\.py$")
_ASSERTIONS = {
    f"assert_{end}"
    for end in ("called", "called_once", "called_with", "called_once_with", "any_call", "not_called", "has_calls")
}
_INVENTED = {"called_once_with", "called_with", "called_once", "not_called", "has_calls"}
# Libraries whose `==` builds an expression.
_BUILDERS = re.compile(
    r"^\s*(?:import|from)\s+(?:sqlalchemy|peewee|pony|pandas|polars|numpy|sympy|z3|pyparsing|django)\b", re.MULTILINE
)
_PLAIN_DECORATORS = re.compile(r"^(pytest\.mark\.|(unittest\.)?(mock\.)?patch|mock\.patch|unittest\.)")


def is_collected(path: str) -> bool:
    """Tells whether a runner would look for tests in this file."""
    return bool(_TEST_FILE.match(PurePosixPath(path).name))


def tests_of(tree: ast.Module) -> list[Function]:
    """Returns the test functions and methods of a file."""
    return [item for item in functions(tree) if item.name.startswith("test")]


def sightings(source: SourceText, tree: ast.Module, *, overloaded: bool) -> Iterator[Sighting]:
    """Yields each hollow place of one test file; where `==` is overloaded, comparisons are not judged."""
    if not is_collected(source.path):
        return
    yield from _shadowed(source, tree)
    overloaded = overloaded or bool(_BUILDERS.search(source.text))
    for test in tests_of(tree):
        yield from _swallowed(source, test)
        for node in _statements(test):
            if (rule := _judge(node)) and not (rule is VAIN and overloaded):
                text = shorten(" ".join(ast.unparse(node).split()), 80)
                yield Sighting(
                    rule, cite(source.path, source.lines, node.lineno, node.end_lineno), f"`{test.name}` says `{text}`"
                )


def _swallowed(source: SourceText, test: Function) -> Iterator[Sighting]:
    """Yields the assertions of a test whose own handler drops every failure of them."""
    for node in walk_scope(test):
        if not isinstance(node, ast.Try) or not any(_drops(handler) for handler in node.handlers):
            continue
        checks = [item for item in node.body if isinstance(item, ast.Assert) or _asserts(item)]
        if checks:
            text = shorten(" ".join(ast.unparse(checks[0]).split()), 80)
            quote = cite(source.path, source.lines, checks[0].lineno, node.handlers[0].lineno + 1)
            yield Sighting(SWALLOWED, quote, f"`{test.name}` drops the failure of `{text}`")


def _asserts(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and call_name(node.value).startswith("self.assert")


def _drops(handler: ast.ExceptHandler) -> bool:
    broad = handler.type is None or dotted(handler.type) in {"Exception", "BaseException", "AssertionError"}
    return broad and all(isinstance(item, ast.Pass | ast.Continue) for item in handler.body)


def _shadowed(source: SourceText, tree: ast.Module) -> Iterator[Sighting]:
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef) and "Test" in node.name)]
    for body in bodies:
        seen: dict[str, Function] = {}
        for node in body:
            if not isinstance(node, FUNCTIONS) or not node.name.startswith("test") or not _is_plain(node):
                continue
            if first := seen.get(node.name):
                quote = cite(source.path, source.lines, first.lineno)
                yield Sighting(SHADOWED, quote, f"`{node.name}` is defined again in line {node.lineno}")
            seen[node.name] = node


def _is_plain(node: Function) -> bool:
    names = [dotted(item.func if isinstance(item, ast.Call) else item) for item in node.decorator_list]
    return all(_PLAIN_DECORATORS.match(name) for name in names)


def _statements(test: Function) -> Iterator[ast.stmt]:
    """Yields the statements that run straight on: inside `with` and `try` an operation may be there to raise."""
    waiting = list(reversed(test.body))
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If | ast.For | ast.While):
            waiting.extend(reversed(node.body))


def _judge(node: ast.stmt) -> Rule | None:
    match node:
        case ast.Expr(value=ast.Compare(ops=[ast.Eq() | ast.NotEq() | ast.Is() | ast.In(), *_])):
            return VAIN
        case ast.Assert(test=ast.Tuple(elts=[_, *_])):
            return TUPLE
        case ast.Expr(value=ast.Attribute(attr=name)) if name in _ASSERTIONS:
            return MOCKED
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name))) if name in _INVENTED:
            return MOCKED
        case ast.Expr(value=ast.Call(args=[_, ast.Constant(value=second)]) as call) if (
            call_name(call) == "self.assertTrue"
        ):
            return None if isinstance(second, str) else TWO_ARGUMENTS
        case _:
            return None
