"""Finds rings of imports among JavaScript and TypeScript files, as they are when types are dropped."""

import posixpath
from collections.abc import Collection, Iterator

from ...files import SCRIPTS
from ..finding import Finding, named
from ..survey import Survey
from .import_graph import Import, ImportGraph
from .relief import find_relief
from .rings import Hazard, Ring, Rings
from .script_imports import ScriptImports


def find_script_rings(survey: Survey) -> Iterator[Finding]:
    """Yields the rings between files that declare what they import from each other, then those that only a barrel makes."""
    scripts = ScriptImports(survey)
    loaded = list(scripts.loaded())
    if loaded:
        survey.say(f"Followed {named(len(loaded), 'import')} between files of {' and '.join(SCRIPTS)}.")
    wording = Rings(survey, scripts.place)
    graph = _running(scripts, ImportGraph.of(scripts.declared(loaded)))
    rings = [
        Ring(tuple(group), find_relief(graph, group, scripts.can_move), _hazard(scripts, graph, group))
        for group in graph.groups()
    ]
    yield from wording.findings(rings)
    yield from _barrels(
        scripts, wording, ImportGraph.of(loaded), frozenset(path for ring in rings for path in ring.group)
    )


def _running(scripts: ScriptImports, graph: ImportGraph) -> ImportGraph:
    """Keeps the imports between files of a ring that are left when types are dropped: only these are looked at closely."""
    return ImportGraph.of(
        item
        for group in graph.groups()
        for edge in graph.inside(group).pairs()
        for item in graph.between(edge)
        if scripts.runs(item)
    )


def _hazard(scripts: ScriptImports, graph: ImportGraph, group: Collection[str]) -> Hazard | None:
    part = graph.inside(group)
    for edge in part.pairs():
        for item in part.between(edge):
            if needed := scripts.hazard(item):
                return Hazard(item, *needed)
    return None


def _barrels(scripts: ScriptImports, wording: Rings, loaded: ImportGraph, told: frozenset[str]) -> Iterator[Finding]:
    graph = _running(scripts, loaded)
    for group in graph.groups():
        part = graph.inside(group)
        through: dict[str, list[Import]] = {}
        for edge in part.pairs():
            for item in scripts.declared(part.between(edge)):
                # Other packages import a package as a whole, on purpose.
                if item.barrel and item.importer.startswith(f"{posixpath.dirname(item.barrel)}/"):
                    through.setdefault(item.barrel, []).append(item)
        if through and told.isdisjoint(group):
            barrel = max(sorted(through), key=lambda path: len(through[path]))
            yield wording.barrel(barrel, through[barrel], group)
