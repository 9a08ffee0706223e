"""Finds what the tests leave out, and tests that do not test: the lens `tests`."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..finding import Evidence, Finding, Severity, cite, named
from ..lens import Detector
from ..reading.python_source import Function, functions
from ..reading.snapshot import SourceText
from ..sighting import Sighting, merge
from ..survey import Survey
from . import hollow_tests
from .hollow_tests import assertions_and_calls, is_asserting_name, is_collected
from .test_manners import find_skips, find_sleeps
from .untested import find_untested

MIN_SILENT = 20
MIN_SILENT_SHARE = 0.15
MAX_QUOTED = 5
_OVERLOADED = re.compile(r"def __eq__\([^)]*\)\s*->\s*(?!\s*['\"]?bool)|^\s+__eq__ = ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Body:
    """The parts that matter of one function of the tests; its tree is not kept."""

    name: str
    asserts: bool
    calls: frozenset[str]
    place: Evidence | None


def find_powerless_tests(survey: Survey) -> list[Finding]:
    """Returns Python tests that cannot fail as they were meant to, and the share of those that assert nothing."""
    bodies: list[Body] = []
    sightings: list[Sighting] = []
    # Where `==` builds something, a comparison that stands alone may be there to be built.
    overloaded = any(_OVERLOADED.search(source.text) for source in survey.sources(survey.product, "Python"))
    for source, tree in survey.python(survey.tests):
        sightings += hollow_tests.sightings(source, tree, overloaded=overloaded)
        bodies += [_body(source, item) for item in functions(tree)]
    return [*merge("tests", sightings), *_silent(bodies)]


def _body(source: SourceText, item: Function) -> Body:
    is_test = item.name.startswith("test") and is_collected(source.path) and not _is_empty(item)
    place = cite(source.path, source.lines, item.lineno) if is_test else None
    return Body(item.name, *assertions_and_calls(item), place)


def _is_empty(item: Function) -> bool:
    """Returns whether a body is empty: it switches off an inherited test, or waits to be written, so no claim is made."""
    return all(
        isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in item.body
    )


def _silent(bodies: list[Body]) -> Iterator[Finding]:
    """Finds tests that assert nothing, also not through helpers: three rounds reach any real depth of them."""
    asserting = {item.name for item in bodies if item.asserts}
    for _ in range(3):
        asserting |= {item.name for item in bodies if _asserts(item, asserting)}
    tests = [item for item in bodies if item.place]
    silent = [item.place for item in tests if item.place and not _asserts(item, asserting)]
    if len(silent) < MIN_SILENT or len(silent) < MIN_SILENT_SHARE * len(tests):
        return
    yield Finding(
        category="tests",
        severity=Severity.INFO,
        title=f"{len(silent):,} of {len(tests):,} tests assert nothing",
        claim=f"{100 * len(silent) / len(tests):.0f} % of the Python tests, in "
        f"{named(len({item.path for item in silent}), 'file')}, neither assert nor call a helper that does: they fail only when "
        "something raises.",
        remedy="Where a result exists, check it.",
        rule="lens:silent-tests",
        evidence=tuple(silent[:MAX_QUOTED]),
        weight=len(silent),
    )


def _asserts(item: Body, asserting: set[str]) -> bool:
    return item.asserts or any(name in asserting or is_asserting_name(name) for name in item.calls)


DETECTORS = (
    Detector("which larger modules no test names", find_untested),
    Detector("tests that cannot fail, or assert nothing", find_powerless_tests),
    Detector("tests that are skipped or focused", find_skips),
    Detector("tests that wait by the clock", find_sleeps),
)
