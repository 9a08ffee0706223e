"""Finds larger modules that nothing in the tests names: neither the module nor what it defines.

Names decide, in code, data and paths of tests alike; so what is given is truly unnamed, and what is run in passing may still be
given: the claim says which. Only languages are judged whose functions a parser finds.
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
MIN_UNNAMED = 2
MIN_SHARE = 0.2  # of the larger modules, where fewer than `TELLING` are unnamed
TELLING = 10
MANY = 5
MAX_NAMED = 5
MAX_NAMED_FUNCTIONS = 0.25
MAX_TEST_BYTES = 300_000
JUDGED = ("Python", "JavaScript", "TypeScript", "Java", "Kotlin", "Go", "Ruby", "PHP", "C#")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,}")
_ENTRY = frozenset({"__main__", "main", "conf", "settings", "setup", "version", "manage", "wsgi", "asgi"})


@dataclass(frozen=True, slots=True)
class Module:
    """A larger module: what it defines, and how much of it is code of functions."""

    source: SourceText
    functions: tuple[FunctionSpan, ...]

    @property
    def lines(self) -> int:
        """Returns how many lines of code its functions have; what stands in another one is counted with that."""
        outer = [one for one in self.functions if not any(_holds(other, one) for other in self.functions)]
        return sum(item.code_lines for item in outer)

    @property
    def largest(self) -> FunctionSpan:
        """Returns its longest function."""
        return max(self.functions, key=lambda item: (item.code_lines, -item.start_line))


def _holds(outer: FunctionSpan, inner: FunctionSpan) -> bool:
    return outer is not inner and outer.start_line <= inner.start_line and inner.end_line <= outer.end_line


def find_untested(survey: Survey) -> Iterator[Finding]:
    """Yields one finding with the largest modules that the tests never name, however many there are."""
    words = _words_of_tests(survey)
    judged = [source for source in survey.sources(survey.product, *JUDGED) if _is_judged(survey, source)]
    modules = [module for source in judged if (module := _weigh(source)) is not None]
    unnamed = [module for module in modules if not _is_named(module, words)]
    if len(unnamed) < MIN_UNNAMED or (len(unnamed) < TELLING and len(unnamed) < MIN_SHARE * len(modules)):
        return
    unnamed.sort(key=lambda module: (-module.lines, module.source.path))
    largest = unnamed[:MAX_NAMED]
    larger = named(len(modules), "larger module")
    share = f"any of the {larger}" if len(unnamed) == len(modules) > 1 else f"{len(unnamed)} of the {larger}"
    places = (cite(item.source, item.largest.start_line) for item in largest)
    yield Finding(
        severity=Severity.MEDIUM if len(unnamed) >= MANY and 2 * len(unnamed) >= len(modules) else Severity.LOW,
        title=f"No test names {share}",
        claim=f"{_listed(largest)}. The tests name neither these files nor anything public in them: they may be run in passing, "
        "but nothing says what they should do.",
        remedy=f"Begin with `{largest[0].largest.name}` in {largest[0].source.path}.",
        rule="lens:unnamed-module",
        evidence=tuple(place for place in places if place),
    )


def _listed(modules: list[Module]) -> str:
    told = [
        f"{item.source.path} ({item.lines:,} lines in {named(len(item.functions), 'function')}, the longest `{item.largest.name}` "
        f"with {item.largest.code_lines:,})"
        for item in modules
    ]
    return f"{'The largest are ' if len(told) > 1 else ''}{', '.join(told)}"


def _is_judged(survey: Survey, source: SourceText) -> bool:
    pure = PurePosixPath(source.path)
    is_script = (
        source.path.endswith(".py")
        and not survey.snapshot.has(str(pure.parent / "__init__.py"))
        and "__main__" in source.text
    )
    private = any(part.startswith("_") for part in pure.parts)
    # Scripts of pages are often other people's, and tables of a Rails application are made by its tool.
    made_elsewhere = "/static/" in source.path or (language(source.path) == "Ruby" and "/db/" in source.path)
    settings = pure.stem.endswith((".config", ".conf"))
    left_out = private or settings or is_script or is_tooling(source.path) or made_elsewhere
    return not (left_out or pure.stem in _ENTRY or "migrations/" in source.path or source.path.endswith(".d.ts"))


def _weigh(source: SourceText) -> Module | None:
    module = Module(source, tuple(find_functions(source)))
    branches = sum(item.branches for item in module.functions)
    small = len(module.functions) < MIN_FUNCTIONS or branches < MIN_BRANCHES or module.lines < MIN_CODE_LINES
    return None if small else module


def _words_of_tests(survey: Survey) -> frozenset[str]:
    """Returns every word in the text and the paths of everything that belongs to the tests, in any language."""
    words: set[str] = set()
    for path in survey.snapshot.paths:
        if (
            is_test(path)
            and not is_vendored(path)
            and survey.snapshot.sizes[path] <= MAX_TEST_BYTES
            and not survey.is_late()
        ):
            source = survey.snapshot.read(path)
            words.update(_WORD.findall(source.text) if source else ())
            words.update(_WORD.findall(path))
    return frozenset(words) | {word.lower() for word in words}


def _is_named(module: Module, words: frozenset[str]) -> bool:
    names = {item.name for item in module.functions if len(item.name) > 3 and not item.name.startswith("__")}
    if len(names & words) >= MAX_NAMED_FUNCTIONS * len(names):
        return True
    pure = PurePosixPath(module.source.path)
    public = _public_names(module.source)
    if language(module.source.path) == "Go":
        # Go's tests stand beside the code and test the package.
        return bool({pure.parent.name, pure.stem, *public} & words)
    stem = pure.parent.name if pure.stem in {"index", "__init__"} else pure.stem
    bare = stem.replace("-", "_").strip("_")
    variants = {stem, stem.lower(), bare, bare.replace("_", ""), bare.replace("_", "").lower()}
    parts = {part for part in re.split(r"[-_.]", stem) if len(part) > 2}
    return bool(variants & words) or (len(parts) > 1 and parts <= words) or bool(public & words)


def _public_names(source: SourceText) -> set[str]:
    patterns = {
        "Python": r"^(?:class|(?:async )?def)\s+([A-Za-z]\w{2,})",
        "Go": r"^(?:func|type)\s+(?:\([^)]*\)\s*)?(\w{3,})",
        **dict.fromkeys(
            ("Java", "Kotlin", "Ruby", "PHP", "C#"), r"\b(?:class|interface|enum|module|object)\s+(\w{3,})"
        ),
    }
    exported = r"^export\s+(?:default\s+)?(?:async\s+)?(?:function|class|const|let|enum)\s*\*?\s*(\w{3,})"
    return set(re.findall(patterns.get(language(source.path), exported), source.text, re.MULTILINE))
