"""Judges an import graph as a whole: imports against the grain, and modules in which everything meets.

The grain is what the project itself does: where one folder imports another all the time, the rare import back is an exception.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from ..finding import Evidence, Finding, Severity, cite
from ..reading.functions import code_lines, tangled_function
from ..survey import Survey
from .import_graph import Import, ImportGraph

MIN_FORWARD = 12
MAX_BACKWARD = 2
MIN_FILES_IN_FOLDER = 3
MIN_FILES_FOR_KNOTS = 30
KNOT_SHARE = 0.25
KNOT_LINES = 500


def find_reversals(survey: Survey, graph: ImportGraph) -> Iterator[Finding]:
    """Yields pairs of folders with many imports one way and one or two the other way."""
    between: dict[tuple[str, str], list[Import]] = {}
    files: dict[str, set[str]] = {}
    for edge in graph.imports():
        pair = (_folder(edge.importer), _folder(edge.imported))
        files.setdefault(pair[0], set()).add(edge.importer)
        files.setdefault(pair[1], set()).add(edge.imported)
        if not _nested(*pair):
            between.setdefault(pair, []).append(edge)
    for (upper, lower), forward in sorted(between.items()):
        backward = between.get((lower, upper), [])
        large = min(len(files[upper]), len(files[lower])) >= MIN_FILES_IN_FOLDER
        if large and len(forward) >= MIN_FORWARD and 0 < len(backward) <= MAX_BACKWARD:
            evidence = tuple(item for edge in backward if (item := cite_import(survey, edge)))
            yield Finding(
                category="structure",
                severity=Severity.LOW,
                title=f"A lower layer imports a higher one: {lower} imports {upper}",
                claim=f"{upper} imports {lower} in {len(forward)} places; the other way there "
                f"{'is only this one' if len(backward) == 1 else f'are only {len(backward)}'}. With it the lower layer cannot be "
                "used or tested without the upper one.",
                remedy="Pass in what it needs, or move that piece down.",
                rule="import-against-the-grain",
                evidence=evidence,
                weight=len(forward),
            )


def find_knots(survey: Survey, graph: ImportGraph) -> Iterator[Finding]:
    """Yields large modules that a quarter of all modules import and that themselves import a quarter."""
    imports = graph.imports()
    incoming = Counter(edge.imported for edge in imports)
    outgoing = Counter(edge.importer for edge in imports)
    files = incoming.keys() | outgoing.keys()
    bar = KNOT_SHARE * len(files)
    for path in sorted(files) if len(files) >= MIN_FILES_FOR_KNOTS else ():
        source = survey.snapshot.read(path) if min(incoming[path], outgoing[path]) >= bar else None
        span = tangled_function(source) if source else None
        if (
            source
            and span
            and code_lines(source) >= KNOT_LINES
            and (place := cite(path, source.lines, span.start_line))
        ):
            yield Finding(
                category="structure",
                severity=Severity.LOW,
                title=f"Everything meets in {path}",
                claim=f"{incoming[path]} of {len(files)} modules import it, and it imports {outgoing[path]}, with "
                f"{code_lines(source):,} lines of code. Nearly every change depends on it and can break it.",
                remedy="Split it by what its importers use.",
                rule="hub-module",
                evidence=(place,),
                weight=incoming[path] * outgoing[path],
            )


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _nested(one: str, other: str) -> bool:
    return one == other or "." in {one, other} or one.startswith(other + "/") or other.startswith(one + "/")


def cite_import(survey: Survey, edge: Import) -> Evidence | None:
    """Quotes the line of an import."""
    source = survey.snapshot.read(edge.importer)
    return cite(edge.importer, source.lines, edge.line) if source else None
