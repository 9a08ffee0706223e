"""Reads which Python file of the repository imports which when it is itself imported.

Imports inside functions, under TYPE_CHECKING or `__name__ == "__main__"`, and those set after all definitions on purpose do not
run then, or break a ring already: they are not edges. No file is imported to find out.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from ...reading.python_source import FUNCTIONS, dotted, walk
from .import_graph import EVERYTHING, Import


class PythonModules:
    """The modules of a repository by name. A name counts from the folder above the outermost package."""

    def __init__(self, paths: Iterable[str]) -> None:
        python = [path for path in paths if path.endswith(".py")]
        packages = {str(PurePosixPath(path).parent) for path in python if path.endswith("__init__.py")}
        self._names: dict[str, tuple[str, str]] = {path: _name(path, packages) for path in python}
        self._by_root: dict[tuple[str, str], str] = {key: path for path, key in self._names.items()}
        self._everywhere: dict[str, list[str]] = {}
        for path, (_, name) in self._names.items():
            self._everywhere.setdefault(name, []).append(path)

    def find(self, importer: str, name: str) -> str | None:
        """Returns the file of a module as this file would find it: beside it first, else the only one of that name."""
        root = self._names[importer][0] if importer in self._names else ""
        found = self._by_root.get((root, name))
        others = self._everywhere.get(name, [])
        return found or (others[0] if len(others) == 1 else None)

    def name(self, path: str) -> str:
        """Returns the dotted name of a file."""
        return self._names[path][1]

    def imports(self, path: str, tree: ast.Module) -> Iterator[Import]:
        """Yields what a file imports of the repository while it is itself imported."""
        for node in _statements_at_import(tree):
            lines = (node.lineno, node.end_lineno or node.lineno)
            if isinstance(node, ast.Import):
                for item in node.names:
                    if target := self.find(path, item.name):
                        local = item.asname or item.name.partition(".")[0]
                        yield Import(path, lines[0], target, lines[1], ((EVERYTHING, local),), needs_names=False)
            elif isinstance(node, ast.ImportFrom):
                for (target, needs_names), names in self._names_from(path, node).items():
                    yield Import(path, lines[0], target, lines[1], tuple(names), needs_names=needs_names)

    def _names_from(self, path: str, node: ast.ImportFrom) -> dict[tuple[str, bool], list[tuple[str, str]]]:
        """Returns the names of a statement by the file that they come from, and whether that must have run already."""
        base = self._base(path, node)
        found: dict[tuple[str, bool], list[tuple[str, str]]] = {}
        for item in node.names:
            local = item.asname or item.name
            if submodule := self.find(path, f"{base}.{item.name}" if base else item.name):
                found.setdefault((submodule, False), []).append((EVERYTHING, local))
            elif base and (target := self.find(path, base)):
                found.setdefault((target, True), []).append((item.name, local))
        return found

    def _base(self, path: str, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name(path).split(".")
        up = node.level - 1 if path.endswith("__init__.py") else node.level
        kept = parts[: len(parts) - up] if up < len(parts) else []
        return ".".join([*kept, *([node.module] if node.module and kept else [])])


def _name(path: str, packages: set[str]) -> tuple[str, str]:
    pure = PurePosixPath(path)
    parts = [] if pure.name == "__init__.py" else [pure.stem]
    folder = pure.parent
    while str(folder) in packages and folder.name:
        parts.append(folder.name)
        folder = folder.parent
    return str(folder), ".".join(reversed(parts))


def _statements_at_import(tree: ast.Module) -> Iterator[ast.stmt]:
    last = max((node.lineno for node in tree.body if isinstance(node, (*FUNCTIONS, ast.ClassDef))), default=0)
    waiting: list[ast.stmt] = list(reversed(tree.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom) and (node.lineno < last or not last):
            yield node
        elif not isinstance(node, FUNCTIONS):
            waiting.extend(reversed(_inner(node)))


def _inner(node: ast.stmt) -> list[ast.stmt]:
    if isinstance(node, ast.If):
        names = {dotted(part).rpartition(".")[2] for part in walk(node.test)}
        # Under any other condition only the interpreter knows whether the import happens: it is not counted.
        return node.body if "TYPE_CHECKING" in names and isinstance(node.test, ast.UnaryOp) else []
    if isinstance(node, ast.Try) and node.handlers:
        # An import that may fail is caught: its authors know.
        return []
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
