"""Finds projects of whose larger modules the tests name less than half: neither the module nor what it defines.

Names decide, in code, data and paths of tests alike: what is given is truly unnamed, and may still be run in passing. Only
languages are judged whose functions a parser finds. A few unnamed modules of many are known to their authors, and not given.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from ...files import is_test, is_tooling, is_vendored, language
from ...reading.functions import FunctionSpan, find_functions
from ...reading.snapshot import SourceText
from ..finding import Finding, Severity, cite, named
from ..survey import Survey

MIN_CODE_LINES = 100
MIN_FUNCTIONS = 3
MIN_BRANCHES = 12
MIN_UNNAMED = 5
MIN_UNTESTED = 2  # where there are no tests at all
MAX_LISTED = 5
MIN_SHARE_OF_FUNCTIONS = 0.25  # that tests name, for the module to be known to them
MAX_TEST_BYTES = 300_000
_DEFINITIONS = {
    "Python": r"^(?:class|(?:async )?def)\s+([A-Za-z]\w{2,})",
    "Go": r"^(?:func|type)\s+(?:\([^)]*\)\s*)?(\w{3,})",
    **dict.fromkeys(
        ("JavaScript", "TypeScript"),
        r"^export\s+(?:default\s+)?(?:async\s+)?(?:function|class|const|let|enum)\s*\*?\s*(\w{3,})",
    ),
    **dict.fromkeys(("Java", "Kotlin", "Ruby", "PHP", "C#"), r"\b(?:class|interface|enum|module|object)\s+(\w{3,})"),
}
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,}")
# Entries, settings, tables that a tool makes, and scripts of pages, which are often other people's.
_LEFT_ALONE = re.compile(
    r"(^|/)_|(^|/)(__main__|main|conf|settings|setup|version|manage|wsgi|asgi)\.\w+$|\.(config|conf)\.\w+$|\.d\.ts$"
    r"|migrations/|/static/|/db/.*\.rb$"
)


@dataclass(frozen=True, slots=True)
class Module:
    """A larger module, and how many lines of code its functions have; one inside of another is counted with that."""

    source: SourceText
    functions: tuple[FunctionSpan, ...]
    lines: int

    @property
    def largest(self) -> FunctionSpan:
        """Returns its longest function."""
        return max(self.functions, key=lambda item: (item.code_lines, -item.start_line))


def find_untested(survey: Survey) -> Iterator[Finding]:
    """Yields one finding with the largest modules that the tests never name."""
    words = _words_of_tests(survey)
    judged = (source for source in survey.sources(survey.product, *_DEFINITIONS) if _is_judged(survey, source))
    modules = [module for module in map(_weigh, judged) if module is not None]
    unnamed = [module for module in modules if not _is_named(module, words)]
    unnamed.sort(key=lambda module: (-module.lines, module.source.path))
    if len(unnamed) < (MIN_UNNAMED if survey.tests else MIN_UNTESTED) or 2 * len(unnamed) < len(modules):
        return
    listed, larger = unnamed[:MAX_LISTED], named(len(modules), "larger module")
    share = f"any of the {larger}" if len(unnamed) == len(modules) else f"{len(unnamed)} of the {larger}"
    told = ", ".join(
        f"{item.source.path} ({item.lines:,} lines in {named(len(item.functions), 'function')}, the longest "
        f"`{item.largest.name}` with {item.largest.code_lines:,})"
        for item in listed
    )
    places = (cite(item.source, item.largest.start_line) for item in listed)
    yield Finding(
        rule="lens:unnamed-module",
        severity=Severity.LOW if survey.tests or len(unnamed) < MIN_UNNAMED else Severity.MEDIUM,
        title=f"No test names {share}" if survey.tests else f"There are no tests for {larger}",
        claim=f"The largest are {told}. "
        + (
            "Tests may run them in passing, but none says what they should do."
            if survey.tests
            else "No file of code here is a test."
        ),
        remedy=f"Begin with `{listed[0].largest.name}` in {listed[0].source.path}.",
        evidence=tuple(place for place in places if place),
    )


def _is_judged(survey: Survey, source: SourceText) -> bool:
    beside = PurePosixPath(source.path).with_name("__init__.py")
    is_script = source.path.endswith(".py") and "__main__" in source.text and not survey.snapshot.has(str(beside))
    return not (is_script or is_tooling(source.path) or _LEFT_ALONE.search(source.path))


def _weigh(source: SourceText) -> Module | None:
    """Returns a module; None where it is small."""
    functions = tuple(find_functions(source))
    outer, end = list[FunctionSpan](), 0
    for item in functions:
        if item.end_line > end:
            outer.append(item)
            end = item.end_line
    size, branches = sum(item.code_lines for item in outer), sum(item.branches for item in functions)
    is_small = len(functions) < MIN_FUNCTIONS or branches < MIN_BRANCHES or size < MIN_CODE_LINES
    return None if is_small else Module(source, functions, size)


def _words_of_tests(survey: Survey) -> frozenset[str]:
    """Returns every word in the text and the paths of all that belongs to the tests, in any language."""
    words: set[str] = set()
    for path in survey.snapshot.paths:
        if is_test(path) and not is_vendored(path) and survey.snapshot.sizes[path] <= MAX_TEST_BYTES:
            source = None if survey.is_late() else survey.snapshot.read(path)
            words.update(_WORD.findall(f"{path} {source.text if source else ''}"))
    return frozenset(words) | {word.lower() for word in words}


def _is_named(module: Module, words: frozenset[str]) -> bool:
    pure, kind = PurePosixPath(module.source.path), language(module.source.path)
    names = {item.name for item in module.functions if len(item.name) > 3 and not item.name.startswith("__")}
    public = set(re.findall(_DEFINITIONS[kind], module.source.text, re.MULTILINE))
    if public & words or len(names & words) >= MIN_SHARE_OF_FUNCTIONS * len(names):
        return True
    # Go's tests stand beside the code and test the package.
    stem = pure.parent.name if pure.stem in {"index", "__init__"} or kind == "Go" else pure.stem
    bare = stem.replace("-", "_").strip("_")
    parts = {part for part in re.split(r"[-_.]", stem) if len(part) > 2}
    variants = {stem, stem.lower(), bare, bare.replace("_", ""), bare.replace("_", "").lower()}
    return bool(variants & words) or (len(parts) > 1 and parts <= words)
