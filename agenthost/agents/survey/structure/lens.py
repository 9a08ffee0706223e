"""Finds rings of imports, imports against the layers, and modules that everything meets in: the lens `structure`."""

from collections.abc import Iterator

from ..finding import Finding, Severity, named
from ..lens import Detector
from ..survey import Survey
from .file_imports import file_imports
from .import_graph import Import, ImportGraph
from .layering import cite_import, find_knots, find_reversals
from .python_imports import PythonModules

MAX_NAMED = 6
_PYTHON_ORDER = (
    "Names that are imported from a module that has not run to its end yet exist or not by the order of lines and "
    "of entry."
)
_OTHER_ORDER = (
    "Neither can be understood, tested or reused alone, and which one is complete first depends on who asks first."
)


def python_graph(survey: Survey) -> ImportGraph:
    """Returns the imports among the product's Python files that run when a file is imported."""
    modules = PythonModules(survey.snapshot.paths)
    product = frozenset(survey.product)
    found = (
        item
        for source, tree in survey.python(survey.product)
        for item in modules.imports(source.path, tree)
        if item.imported in product and not _is_ancestor(item)
    )
    return ImportGraph.of(found)


def _is_ancestor(item: Import) -> bool:
    """Returns whether one package holds the other: it is always loaded before, so importing it from there does nothing."""
    package = item.imported.removesuffix("__init__.py")
    return not item.needs_names and package != item.imported and item.importer.startswith(package)


def find_python_structure(survey: Survey) -> Iterator[Finding]:
    """Looks at the Python part of the product."""
    graph = python_graph(survey)
    _tell(survey, graph, "Python")
    yield from _rings(survey, graph, is_python=True)
    yield from find_reversals(survey, graph)
    yield from find_knots(survey, graph)


def find_other_structure(survey: Survey) -> Iterator[Finding]:
    """Looks at the other languages."""
    graph = ImportGraph.of(file_imports(survey))
    _tell(survey, graph, "other")
    yield from _rings(survey, graph, is_python=False)
    yield from find_reversals(survey, graph)


def _tell(survey: Survey, graph: ImportGraph, kind: str) -> None:
    imports = graph.imports()
    files = {item.importer for item in imports} | {item.imported for item in imports}
    if imports:
        survey.say(
            f"Followed {named(len(imports), 'import')} between {named(len(files), f'{kind} file')} of the product."
        )


def _rings(survey: Survey, graph: ImportGraph, *, is_python: bool) -> Iterator[Finding]:
    for group in graph.groups():
        # Java classes may refer to each other: no order of loading can fail.
        ring = [] if group[0].endswith(".java") else graph.shortest_ring(group)
        evidence = [item for edge in ring if (item := cite_import(survey, edge))]
        if ring and len(evidence) == len(ring):
            names = [edge.importer for edge in ring]
            by_package = any(name.endswith("__init__.py") for name in names)
            yield Finding(
                category="structure",
                severity=Severity.INFO if by_package else Severity.LOW,
                title=_title(group, names),
                claim=_claim(group, ring, is_python=is_python),
                evidence=tuple(evidence),
                weight=len(group),
                remedy="Move what both need to a third module"
                + (", or import inside the function that uses it." if is_python else "."),
                rule="lens:import-ring",
            )


def _title(group: list[str], names: list[str]) -> str:
    if len(group) > len(names):
        return f"{len(group)} files import each other in rings, the shortest through {names[0]} and {names[1]}"
    if len(names) == 2:
        return f"Two files import each other: {names[0]} and {names[1]}"
    return f"{len(names)} files import each other in a ring, from {names[0]} back to itself"


def _claim(group: list[str], ring: list[Import], *, is_python: bool) -> str:
    shown = [edge.importer for edge in ring[:MAX_NAMED]]
    way = " → ".join([*shown, ring[0].importer if len(ring) <= MAX_NAMED else "…"])
    tangle = (
        f" {len(group)} files hang together this way and can only be understood and tested as one."
        if len(group) > len(ring)
        else ""
    )
    order = _PYTHON_ORDER if is_python else _OTHER_ORDER
    return f"Each needs the next to load: {way}.{tangle} {order}"


DETECTORS = (
    Detector("which Python modules import which, for rings and layers", find_python_structure),
    Detector("includes and imports in other languages", find_other_structure),
)
