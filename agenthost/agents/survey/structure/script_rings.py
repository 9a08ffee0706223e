"""Finds rings of imports among JavaScript and TypeScript files, as they are when types are dropped."""

import posixpath
from collections.abc import Iterator, Sequence

from ...files import SCRIPTS
from ..finding import Finding, Severity, named
from ..survey import Survey
from .import_graph import Import, ImportGraph
from .package_rings import find_package_rings
from .rings import find_rings, quote_import
from .script_imports import ScriptImports

MAX_SHOWN = 8


def find_script_rings(survey: Survey) -> Iterator[Finding]:
    """Yields the rings between files that declare what they import from each other, then those that only a barrel makes."""
    scripts = ScriptImports(survey)
    loaded = list(scripts.loaded())
    if loaded:
        survey.say(f"Followed {named(len(loaded), 'import')} between files of {' and '.join(SCRIPTS)}.")
    yield from find_package_rings(survey, scripts, loaded)
    graph = _running(scripts, ImportGraph.of(scripts.declared(loaded)))
    yield from find_rings(survey, graph, scripts)
    told = {path for group in graph.groups() for path in group}
    barrels = _running(scripts, ImportGraph.of(loaded))
    for group in barrels.groups():
        part = barrels.inside(group)
        through = _through_barrels(scripts, part)
        barrel = max(sorted(through), key=lambda path: len(through[path]), default="")
        direct = part.without({(item.importer, barrel) for item in through.get(barrel, ())})
        if barrel and told.isdisjoint(group) and not direct.groups():
            yield _finding(survey, barrel, through[barrel], len(group))


def _running(scripts: ScriptImports, graph: ImportGraph) -> ImportGraph:
    """Keeps the imports between files of a ring that are left when types are dropped: only these are looked at closely."""
    inside = (item for group in graph.groups() for item in graph.inside(group).statements())
    return ImportGraph.of(item for item in inside if scripts.runs(item))


def _through_barrels(scripts: ScriptImports, graph: ImportGraph) -> dict[str, list[Import]]:
    through: dict[str, list[Import]] = {}
    for item in scripts.declared(graph.statements()):
        # Other packages import a package as a whole, on purpose.
        if item.barrel and item.importer.startswith(f"{posixpath.dirname(item.barrel)}/"):
            through.setdefault(item.barrel, []).append(item)
    return through


def _finding(survey: Survey, barrel: str, imports: Sequence[Import], count: int) -> Finding:
    shown = imports[:MAX_SHOWN]
    ways = "; ".join(f"in `{item.importer}` line {item.start_line} from `{item.imported}`" for item in shown)
    return Finding(
        category="structure",
        severity=Severity.LOW,
        title=f"{count} files import each other only through a barrel: {barrel}",
        claim=f"`{barrel}` loads them, and they import from it: {named(len(imports), 'import')}. No file that declares these names "
        "imports another of the ring back.",
        remedy=f"Import from the file that declares the name: {ways}.",
        rule="lens:barrel-ring",
        evidence=tuple(place for item in shown if (place := quote_import(survey, item))),
        weight=count,
    )
