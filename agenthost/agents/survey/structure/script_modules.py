"""Finds the file that an import of JavaScript or TypeScript means: beside the importer, by an alias, or in a package nearby.

It follows `paths` and `baseUrl` of the nearest tsconfig.json and those that it extends, and `name`, `exports` and `imports` of
every package.json. It reads these as data: nothing of a repository's tooling is run.
"""

import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...files import is_vendored
from ..survey import Survey

_ENDINGS = ("", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".d.ts")
_WRITTEN_AS = {".js": (".ts", ".tsx"), ".jsx": (".tsx",), ".mjs": (".mts",), ".cjs": (".cts",)}
_CONFIGURATIONS = ("tsconfig.json", "jsconfig.json", "tsconfig.app.json", "tsconfig.base.json")
_NO_JSON = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)
MAX_EXTENDED = 8
MAX_PATTERNS = 300
MAX_CONDITIONS = 6


@dataclass(frozen=True, slots=True)
class Aliases:
    """The aliases of one tsconfig.json: patterns with the targets that they stand for, below the repository's root."""

    paths: tuple[tuple[str, tuple[str, ...]], ...] = ()
    base: str | None = None


class ScriptModules:
    """The modules of one repository."""

    def __init__(self, survey: Survey) -> None:
        self._snapshot = survey.snapshot
        self._files = frozenset(survey.snapshot.paths)
        self._aliases: dict[str, Aliases] = {}
        self._found: dict[tuple[str, str], str | None] = {}

    def find(self, importer: str, module: str) -> str | None:
        """Returns the path of the file that a module's name means in this file; None for anything outside."""
        asked = (posixpath.dirname(importer), module)
        if asked not in self._found:
            self._found[asked] = next((one for path in self._candidates(*asked) if (one := self._file(path))), None)
        return self._found[asked]

    def package(self, path: str) -> str:
        """Returns the name of the nearest package that is not the whole repository; empty where there is none."""
        names = {folder: name for name, (folder, _) in self._packages.items() if folder}
        return next((names[folder] for folder in _upwards(posixpath.dirname(path)) if folder in names), "")

    def _candidates(self, folder: str, module: str) -> Iterator[str]:
        if module.startswith("."):
            yield posixpath.join(folder, module)
            return
        if module.startswith("#"):
            yield from self._package_imports(folder, module)
        aliases = self._aliases_for(folder)
        for pattern, targets in aliases.paths:
            if (rest := _matched(pattern, module)) is not None:
                yield from (target.replace("*", rest) for target in targets)
        yield from self._in_package(module)
        if aliases.base is not None:
            yield posixpath.join(aliases.base, module)

    def _file(self, path: str) -> str | None:
        path = posixpath.normpath(path)
        stem, ending = posixpath.splitext(path)
        stems = [path, *(stem + other for other in _WRITTEN_AS.get(ending, ()))]
        stems += [posixpath.join(path, "index"), posixpath.join(path, "src", "index")]
        return next((one + end for one in stems for end in _ENDINGS if one + end in self._files), None)

    def _in_package(self, module: str) -> Iterator[str]:
        parts = module.split("/")
        name = "/".join(parts[: 2 if module.startswith("@") else 1])
        if name not in self._packages:
            return
        folder, package = self._packages[name]
        rest = "/".join([".", *parts[name.count("/") + 1 :]])
        yield from (posixpath.join(folder, target) for target in _exported(package.get("exports"), rest))
        if rest == ".":
            entries = (package.get(key) for key in ("source", "module", "main"))
            yield from (posixpath.join(folder, entry) for entry in entries if isinstance(entry, str))
        yield posixpath.join(folder, rest)
        yield posixpath.join(folder, "src", rest)

    def _package_imports(self, folder: str, module: str) -> Iterator[str]:
        for above in _upwards(folder):
            package = self._read(posixpath.join(above, "package.json"))
            if package:
                targets = _exported(package.get("imports"), module)
                yield from (posixpath.join(above, target) for target in targets)
                return

    @cached_property
    def _packages(self) -> dict[str, tuple[str, dict[str, Any]]]:
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for path in self._snapshot.paths:
            if posixpath.basename(path) == "package.json" and not is_vendored(path):
                package = self._read(path)
                name = package.get("name")
                if isinstance(name, str) and name:
                    found.setdefault(name, (posixpath.dirname(path), package))
        return found

    def _aliases_for(self, folder: str) -> Aliases:
        if folder not in self._aliases:
            names = (posixpath.join(above, name) for above in _upwards(folder) for name in _CONFIGURATIONS)
            known = (aliases for name in names if name in self._files and (aliases := self._extended(name)))
            self._aliases[folder] = next(known, Aliases())
        return self._aliases[folder]

    def _extended(self, name: str) -> Aliases | None:
        """Returns the aliases of a configuration: its own, else those of what it extends."""
        waiting, seen = [name], set[str]()
        base: str | None = None
        while waiting and len(seen) < MAX_EXTENDED:
            name = waiting.pop()
            seen.add(name)
            content = self._read(name)
            options = content.get("compilerOptions")
            options = options if isinstance(options, dict) else {}
            folder = posixpath.dirname(name)
            if base is None and isinstance(options.get("baseUrl"), str):
                base = posixpath.normpath(posixpath.join(folder, options["baseUrl"]))
            if isinstance(options.get("paths"), dict):
                return Aliases(tuple(_paths(options["paths"], base if base is not None else folder)), base)
            extends = content.get("extends")
            for one in reversed(extends if isinstance(extends, list) else [extends]):
                if isinstance(one, str) and one.startswith("."):
                    path = posixpath.normpath(posixpath.join(folder, one))
                    waiting += [end for end in (path, f"{path}.json") if end in self._files and end not in seen]
        return Aliases((), base) if base is not None else None

    def _read(self, path: str) -> dict[str, Any]:
        source = self._snapshot.read(path) if path in self._files else None
        try:
            # Comments and trailing commas are allowed in a tsconfig.json.
            content = json.loads(_NO_JSON.sub(lambda match: match[1] or "", source.text)) if source else {}
        except (ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}


def _paths(paths: dict[str, Any], base: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    # The most particular pattern decides, as in the compiler.
    for pattern in sorted(paths, key=len, reverse=True)[:MAX_PATTERNS]:
        targets = paths[pattern] if isinstance(paths[pattern], list) else []
        yield pattern, tuple(posixpath.join(base, target) for target in targets if isinstance(target, str))


def _matched(pattern: str, module: str) -> str | None:
    """Returns the part of a name that the star of a pattern stands for; None where the pattern does not match."""
    before, star, after = pattern.partition("*")
    if not star:
        return "" if module == pattern else None
    fits = module.startswith(before) and module.endswith(after) and len(module) >= len(before) + len(after)
    return module[len(before) : len(module) - len(after)] if fits else None


def _exported(exports: Any, name: str) -> Iterator[str]:
    """Yields the targets of a name in `exports` or `imports` of a package, whatever the condition."""
    if isinstance(exports, str | list) or (isinstance(exports, dict) and not any(key[:1] in ".#" for key in exports)):
        exports = {".": exports}
    for pattern in sorted(exports, key=len, reverse=True)[:MAX_PATTERNS] if isinstance(exports, dict) else ():
        if (rest := _matched(pattern, name)) is not None:
            yield from (target.replace("*", rest) for target in _targets(exports[pattern]))


def _targets(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list) and depth < MAX_CONDITIONS:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _targets(item, depth + 1)


def _upwards(folder: str) -> Iterator[str]:
    """Yields a folder and those above it, the repository's root last."""
    while folder:
        yield folder
        folder = posixpath.dirname(folder)
    yield ""
