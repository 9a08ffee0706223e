"""Finds significant modules that nothing in the tests names: neither the module nor what it defines.

Names decide, in code, data and paths of tests alike; so what is given is truly unnamed, and what is run in passing may still be
given: the claim says which. Coverage would need to run the tests, which nothing here does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from ...files import is_test, is_tooling, language
from ..finding import Finding, Severity, cite
from ..reading.functions import find_functions, first_code_line
from ..reading.snapshot import SourceText
from ..survey import Survey

MIN_TEST_FILES = 3
MIN_CODE_LINES = 100
MIN_FUNCTIONS = 3
MIN_BRANCHES = 12
MAX_SHARE = 0.15
MANY = 3
MAX_NAMED_FUNCTIONS = 0.25
MAX_TEST_BYTES = 300_000
JUDGED = ("Python", "JavaScript", "TypeScript", "Java", "Go", "Ruby")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,}")
_ENTRY = frozenset({"__main__", "main", "conf", "settings", "setup", "version", "manage", "wsgi", "asgi"})


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A module that the tests do not name."""

    source: SourceText
    names: frozenset[str]
    functions: int
    branches: int
    lines: int


def find_untested(survey: Survey) -> Iterator[Finding]:
    """Yields one finding with the most tangled modules that the tests never name."""
    _tell_ratio(survey)
    if len(survey.tests) < MIN_TEST_FILES:
        survey.miss("There are too few tests to tell what they leave out.")
        return
    words = _words_of_tests(survey)
    judged = [source for source in survey.sources(survey.product, *JUDGED) if _is_judged(survey, source)]
    modules = [item for source in judged if (item := _weigh(source)) is not None]
    unnamed = [item for item in modules if not _is_named(item, words)]
    # Where many are unnamed, the project tests in a way that names cannot tell.
    if not unnamed or len(unnamed) > MAX_SHARE * len(modules):
        return
    unnamed.sort(key=lambda item: (-item.branches, item.source.path))
    first = unnamed[0]
    title = (
        f"No test names {first.source.path}"
        if len(unnamed) == 1
        else f"No test names {len(unnamed)} of {len(modules)} larger modules, {first.source.path} first"
    )
    places = (cite(item.source.path, item.source.lines, first_code_line(item.source)) for item in unnamed[:8])
    yield Finding(
        category="tests",
        severity=Severity.LOW if len(unnamed) >= MANY else Severity.INFO,
        title=title,
        claim=f"{first.source.path} has {first.functions} functions and {first.branches} branches in {first.lines:,} lines of "
        f"code; the tests name neither it nor anything public in it{_others(unnamed)}. It may be run in passing, but nothing "
        "says what it should do.",
        remedy="Begin with the branches that handle errors.",
        rule="lens:unnamed-module",
        evidence=tuple(place for place in places if place),
        weight=len(unnamed),
    )


def _others(unnamed: list[Unnamed]) -> str:
    others = ", ".join(item.source.path for item in unnamed[1:4])
    return f", and the same holds for {others}{' and others' if len(unnamed) > 4 else ''}" if others else ""


def _tell_ratio(survey: Survey) -> None:
    def lines(paths: tuple[str, ...]) -> int:
        return sum(sum(bool(line.strip()) for line in source.lines) for source in survey.sources(paths))

    product, tests = lines(survey.product), lines(survey.tests)
    if product:
        survey.say(f"Tests have {tests:,} lines, the product {product:,}: {tests / product:.1f} to one.")


def _is_judged(survey: Survey, source: SourceText) -> bool:
    stem = PurePosixPath(source.path).stem
    in_package = survey.snapshot.has(str(PurePosixPath(source.path).parent / "__init__.py"))
    is_script = source.path.endswith(".py") and not in_package and "__main__" in source.text
    private = any(part.startswith("_") for part in PurePosixPath(source.path).parts)
    # Scripts of pages are often other people's, and tables of a Rails application are made by its tool.
    made_elsewhere = "/static/" in source.path or (language(source.path) == "Ruby" and "/db/" in source.path)
    return not (
        private
        or is_script
        or is_tooling(source.path)
        or stem in _ENTRY
        or "migrations/" in source.path
        or made_elsewhere
        or source.path.endswith(".d.ts")
    )


def _weigh(source: SourceText) -> Unnamed | None:
    found = find_functions(source)
    branches, lines = sum(item.branches for item in found), sum(item.code_lines for item in found)
    if len(found) < MIN_FUNCTIONS or branches < MIN_BRANCHES or lines < MIN_CODE_LINES:
        return None
    names = frozenset(item.name for item in found if len(item.name) > 3 and not item.name.startswith("__"))
    return Unnamed(source, names, len(found), branches, lines)


def _words_of_tests(survey: Survey) -> frozenset[str]:
    """Returns every word in the text and the paths of everything that belongs to the tests, in any language."""
    words: set[str] = set()
    for path in survey.snapshot.paths:
        if is_test(path) and survey.snapshot.sizes[path] <= MAX_TEST_BYTES and not survey.is_late():
            source = survey.snapshot.read(path)
            words.update(_WORD.findall(source.text) if source else ())
            words.update(_WORD.findall(path))
    return frozenset(words) | {word.lower() for word in words}


def _is_named(item: Unnamed, words: frozenset[str]) -> bool:
    source = item.source
    if len(item.names & words) >= MAX_NAMED_FUNCTIONS * len(item.names):
        return True
    pure = PurePosixPath(source.path)
    mine = language(source.path)
    if mine == "Go":
        # Go's tests stand beside the code and test the package.
        names = {pure.parent.name, pure.stem, *_public_names(source)}
        return bool(names & words)
    stem = pure.parent.name if pure.stem in {"index", "__init__"} else pure.stem
    variants = {
        stem,
        stem.lower(),
        stem.lstrip("_"),
        stem.replace("-", "_"),
        stem.replace("-", "").lower(),
        stem.replace("_", ""),
    }
    parts = {part for part in re.split(r"[-_.]", stem) if len(part) > 2}
    return bool(variants & words) or (len(parts) > 1 and parts <= words) or bool(_public_names(source) & words)


def _public_names(source: SourceText) -> set[str]:
    text = source.text
    match language(source.path):
        case "Python":
            return set(re.findall(r"^(?:class|(?:async )?def)\s+([A-Za-z]\w{2,})", text, re.MULTILINE))
        case "Go":
            return set(re.findall(r"^(?:func|type)\s+(?:\([^)]*\)\s*)?(\w{3,})", text, re.MULTILINE))
        case "Java" | "Ruby":
            return set(re.findall(r"\b(?:class|interface|enum|module)\s+(\w{3,})", text))
        case _:
            exported = re.findall(
                r"^export\s+(?:default\s+)?(?:async\s+)?(?:function|class|const|let|enum)\s*\*?\s*(\w{3,})",
                text,
                re.MULTILINE,
            )
            return {*exported, *re.findall(r"\bexports\.(\w{3,})\s*=", text)}
