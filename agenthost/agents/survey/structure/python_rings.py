"""Finds rings among the imports that run when a Python file is itself imported.

Importing a package from inside it is none: the package always runs first, so their order never changes.
"""

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from ...reading.python_source import FUNCTIONS, walk
from ..finding import Finding, named
from ..survey import Survey
from .import_graph import Import, ImportGraph
from .python_imports import PythonModules
from .rings import Hazard, find_rings


def find_python_rings(survey: Survey) -> Iterator[Finding]:
    """Looks at the Python part of the product."""
    modules = PythonModules(survey.snapshot.paths)
    product = frozenset(survey.product)
    trees = {source.path: tree for source, tree in survey.python(survey.product)}
    graph = ImportGraph.of(
        item
        for path, tree in trees.items()
        for item in modules.imports(path, tree)
        if item.imported in product and not _is_ancestor(item)
    )
    if pairs := graph.pairs():
        survey.say(f"Followed {named(len(pairs), 'import')} between Python files.")
    yield from find_rings(survey, graph, PythonFiles(modules, trees))


def _is_ancestor(item: Import) -> bool:
    """Returns whether one package holds the other."""
    package = item.imported.removesuffix("__init__.py")
    return package != item.imported and item.importer.startswith(package)


@dataclass(frozen=True, slots=True)
class PythonFiles:
    """The files of a product by their trees."""

    modules: PythonModules
    trees: dict[str, ast.Module]

    def line(self, path: str, name: str) -> int:
        """Returns the line of a declaration."""
        return self._declared(path)[name].lineno

    def can_move(self, path: str, name: str, group: Collection[str]) -> bool:
        """Returns whether what a file declares under a name needs nothing of a group of files."""
        declared = self._declared(path)
        origins = {
            local: item.imported for item in self.modules.imports(path, self.trees[path]) for _, local in item.names
        }
        waiting, seen = [name], set[str]()
        while waiting:
            one = waiting.pop()
            seen.add(one)
            if origins.get(one) in group or (one == name and one not in declared):
                return False
            nodes = walk(declared[one]) if one in declared else ()
            waiting += sorted(
                {node.id for node in nodes if isinstance(node, ast.Name)} & (declared | origins).keys() - seen
            )
        return True

    def hazard(self, graph: ImportGraph, group: Collection[str]) -> Hazard | None:
        """Returns an import that fails where the other file is the first of the group that is imported.

        None where a package around that file loads one of the group in any case.
        """
        part = graph.inside(group)
        for item in (item for item in part.statements() if item.needs_names):
            declared = self._declared(item.imported)
            latest = max(
                one.start_line for target in part.edges[item.imported] for one in part.between((item.imported, target))
            )
            late = [name for name, _ in item.names if name in declared and declared[name].lineno > latest]
            if late and not self._is_preloaded(graph, item.imported, group):
                return Hazard(item, late[0], item.start_line)
        return None

    def _is_preloaded(self, graph: ImportGraph, path: str, group: Collection[str]) -> bool:
        packages = [f"{folder}/__init__.py" for folder in PurePosixPath(path).parents if str(folder) != "."]
        waiting, seen = [one for one in packages if one in self.trees and one != path], set[str]()
        while waiting:
            one = waiting.pop()
            if one in group:
                return True
            if one not in seen:
                seen.add(one)
                waiting += graph.edges.get(one, ())
        return False

    def _declared(self, path: str) -> dict[str, ast.stmt]:
        found: dict[str, ast.stmt] = {}
        for node in self.trees[path].body:
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                found[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
        return found
