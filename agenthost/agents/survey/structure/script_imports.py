"""Follows imports of JavaScript and TypeScript to the file that is loaded, and through barrels to the one that declares a name."""

from collections.abc import Collection, Iterable, Iterator

from ...files import SCRIPTS
from ...reading.grammars import lines
from ..survey import Survey
from .import_graph import EVERYTHING, Import, ImportGraph
from .rings import Hazard
from .script_files import Names, ScriptFile, read_script
from .script_modules import ScriptModules

MAX_BARRELS = 12
MAX_PASSED_ON = 2000  # statements of a barrel that are followed


class ScriptImports:
    """The imports between the product's files in these languages."""

    def __init__(self, survey: Survey) -> None:
        self._is_late = survey.is_late
        self._modules = ScriptModules(survey)
        self._files: dict[str, ScriptFile] = {}
        self._origins: dict[tuple[str, str], str] = {}
        self._passing: dict[str, frozenset[int]] = {}
        for source in survey.read(survey.product, SCRIPTS):
            if script := read_script(source):
                survey.judge(source.path)
                self._files[source.path] = script

    def loaded(self) -> Iterator[Import]:
        """Yields which file loads which: every import that runs, and every name that a barrel passes on."""
        for path, script in self._files.items():
            if self._is_late():
                return
            for item in (*script.imports, *script.passed_on):
                target = self._modules.find(path, item.module)
                if target in self._files and (names := self._values(target, item.names)) is not None:
                    yield Import(path, item.start_line, target, item.end_line, names)

    def declared(self, loaded: Iterable[Import]) -> Iterator[Import]:
        """Yields the same imports to the files that declare the names."""
        for item in loaded:
            if self._passes_on(item):
                continue
            origins: dict[str, list[tuple[str, str]]] = {}
            for name, local in item.names:
                origins.setdefault(self._origin(item.imported, name), []).append((name, local))
            for origin, names in origins.items() or [(item.imported, [])]:
                yield Import(item.importer, item.start_line, origin, item.end_line, tuple(names))

    def package(self, path: str) -> str:
        """Returns the name of the workspace's package that a file belongs to; empty where there is none."""
        return self._modules.package(path)

    def runs(self, item: Import) -> bool:
        """Returns whether an import is left when types are dropped: a name of it is used as a value, or there is none."""
        uses = self._files[item.importer].uses
        return not item.names or self._passes_on(item) or any(local in uses for _, local in item.names)

    def hazard(self, graph: ImportGraph, group: Collection[str]) -> Hazard | None:
        """Returns a name in a group that is not there where the group is entered at the file that declares it."""
        for item in graph.inside(group).statements():
            uses, target = self._files[item.importer].uses, self._files[item.imported]
            for name, local in item.names:
                if (node := uses.get(local)) is not None and not target.is_hoisted(name):
                    return Hazard(item, local, lines(node)[0])
        return None

    def can_move(self, path: str, name: str, group: Collection[str]) -> bool:
        """Returns whether what a file declares under a name needs nothing of a group of files."""
        script = self._files[path]
        if name not in script.declared:
            return False
        needed = script.needs(name)
        return not any(
            self._modules.find(path, item.module) in group or self._origin_in(path, item, needed) & set(group)
            for item in script.imports
            if needed & {local for _, local in item.names}
        )

    def line(self, path: str, name: str) -> int:
        """Returns the line of a declaration."""
        return lines(self._files[path].declared[name])[0]

    def _passes_on(self, item: Import) -> bool:
        return item.start_line in self._passing_lines(item.importer)

    def _passing_lines(self, path: str) -> frozenset[int]:
        """Returns the lines on which a file begins to pass names on: kept, as a file may have thousands."""
        if path not in self._passing:
            self._passing[path] = frozenset(one.start_line for one in self._files[path].passed_on)
        return self._passing[path]

    def _origin_in(self, path: str, item: Names, needed: Collection[str]) -> set[str]:
        target = self._modules.find(path, item.module)
        return {self._origin(target, name) for name, local in item.names if target and local in needed}

    def _values(self, target: str, names: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...] | None:
        """Returns the names that are no mere types where they are declared; None where all of them are."""
        kept = tuple(
            (name, local) for name, local in names if not self._files[self._origin(target, name)].declares_type(name)
        )
        return kept if kept or not names else None

    def _origin(self, path: str, name: str) -> str:
        """Returns the file that declares what a file exports under a name: itself, where that cannot be told."""
        if (path, name) not in self._origins:
            self._origins[path, name] = self._follow(path, name)
        return self._origins[path, name]

    def _follow(self, path: str, name: str) -> str:
        waiting, seen = [(path, name, 0)], set[tuple[str, str]]()
        while waiting and len(seen) < 200:
            file, wanted, depth = waiting.pop()
            script = self._files.get(file)
            if script is None or (file, wanted) in seen or depth > MAX_BARRELS:
                continue
            seen.add((file, wanted))
            if wanted in script.exported:
                return file
            for item in reversed(script.passed_on[:MAX_PASSED_ON]):
                target = self._modules.find(file, item.module) or ""
                waiting += [(target, inner, depth + 1) for inner in _passed(item, wanted)]
        return path


def _passed(item: Names, wanted: str) -> list[str]:
    """Returns the names under which a statement may pass on what is wanted."""
    if item.names == ((EVERYTHING, EVERYTHING),):
        return [] if wanted in {EVERYTHING, "default"} else [wanted]
    return [name for name, outer in item.names if outer == wanted and name != EVERYTHING]
