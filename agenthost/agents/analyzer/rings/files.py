"""Reads the files that stand in rings: what they declare, and through barrels which file a name comes from."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from ...reading.grammars import lines
from ...reading.scripts import EVERYTHING, Names, Script, read_script
from ...reading.snapshot import MAX_FILE_BYTES, SourceText, read_bytes
from .graph import Import, ImportGraph

MAX_FILES = 1000
MAX_FOLLOWED = 200  # statements, from a name to the file that declares it


class RingFiles:
    """The files of some cycles. `cycles` are imports of which each leads back to its own file; paths begin at the root."""

    def __init__(self, root: Path, cycles: Collection[Import]) -> None:
        self._root = root
        self._scripts: dict[str, Script | None] = {}
        self._modules: dict[str, dict[str, str]] = {}
        self._targets: dict[str, list[Import]] = {}
        for item in cycles:
            self._targets.setdefault(item.importer, []).append(item)

    def imports(self) -> Iterator[Import]:
        """Yields the imports to the files that declare the names; without those that are gone when types are dropped."""
        for path, cycles in self._targets.items():
            script = self._script(path)
            if script is None:
                yield from cycles
                continue
            for statement in script.imports:
                target = self._target(path, statement)
                if target and not statement.names:
                    yield Import(path, statement.start_line, target)
                elif target:
                    used = [pair for pair in statement.names if pair[1] in script.used]
                    yield from self._by_origin(Import(path, statement.start_line, target), used)

    def can_move(self, path: str, name: str, group: ImportGraph) -> bool:
        """Returns whether what a file declares under a name needs nothing of its group."""
        script = self._script(path)
        if script is None or name not in script.declared:
            return False
        needed = script.needs(name)
        imports = [item for found in group.edges.get(path, {}).values() for item in found]
        return all(item.names and not any(local in needed for _, local in item.names) for item in imports)

    def line(self, path: str, name: str) -> int:
        """Returns the line of a declaration."""
        script = self._script(path)
        return lines(script.declared[name])[0] if script else 1

    def _by_origin(self, item: Import, names: Iterable[tuple[str, str]]) -> Iterator[Import]:
        origins: dict[str, list[tuple[str, str]]] = {}
        for name, local in names:
            origins.setdefault(self._origin(item.imported, name), []).append((name, local))
        for origin, found in origins.items():
            if origin:
                yield Import(item.importer, item.line, origin, tuple(found))

    def _origin(self, path: str, name: str) -> str:
        """Returns the file that declares what a file exports under a name; empty for one outside of the rings."""
        waiting, seen, passes_on = [(path, name)], set[tuple[str, str]](), False
        while waiting and len(seen) < MAX_FOLLOWED:
            file, wanted = waiting.pop()
            script = self._script(file)
            if script is None or wanted in script.declared or wanted == EVERYTHING:
                return file
            if (file, wanted) not in seen:
                seen.add((file, wanted))
                passing = [(one, inner) for one in script.passed_on for inner in _passed(one, wanted)]
                passes_on = passes_on or bool(passing)
                waiting += [(target, inner) for one, inner in passing if (target := self._target(file, one))]
        return "" if passes_on else path

    def _target(self, path: str, statement: Names) -> str:
        """Returns the file of the rings that a statement names; empty for any other. Of two for one file a single one is told."""
        if path not in self._modules:
            script = self._script(path)
            statements = (*script.imports, *script.passed_on) if script else ()
            self._modules[path] = {
                one.module: item.imported
                for item in self._targets.get(path, ())
                for one in statements
                if one.start_line <= item.line <= one.end_line
            }
        return self._modules[path].get(statement.module, "")

    def _script(self, path: str) -> Script | None:
        if path not in self._scripts:
            content = read_bytes(self._root / path, MAX_FILE_BYTES) if len(self._scripts) < MAX_FILES else None
            text = (content or b"").decode(errors="replace")
            self._scripts[path] = read_script(SourceText(path, text, tuple(text.split("\n")))) if text else None
        return self._scripts[path]


def _passed(statement: Names, wanted: str) -> list[str]:
    """Returns the names under which a statement may pass on what is wanted."""
    if statement.names == ((EVERYTHING, EVERYTHING),):
        return [] if wanted == "default" else [wanted]
    return [name for name, outer in statement.names if outer == wanted and name != EVERYTHING]
