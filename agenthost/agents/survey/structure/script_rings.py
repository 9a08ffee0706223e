"""Finds rings of imports among JavaScript and TypeScript files, as they are when types are dropped."""

from collections.abc import Iterator

from ...files import SCRIPTS
from ..finding import Finding, named
from ..survey import Survey
from .import_graph import ImportGraph
from .package_rings import find_package_rings
from .rings import find_rings
from .script_imports import ScriptImports


def find_script_rings(survey: Survey) -> Iterator[Finding]:
    """Yields the rings between packages, then those between files that declare what they import from each other."""
    scripts = ScriptImports(survey)
    loaded = list(scripts.loaded())
    if loaded:
        survey.say(f"Followed {named(len(loaded), 'import')} between files of {' and '.join(SCRIPTS)}.")
    yield from find_package_rings(survey, scripts, loaded)
    graph = ImportGraph.of(scripts.declared(loaded))
    # Only what is in a ring is looked at closely: types are dropped there.
    inside = (item for group in graph.groups() for item in graph.inside(group).statements() if scripts.runs(item))
    yield from find_rings(survey, ImportGraph.of(inside), scripts)
