"""Finds packages of one workspace that import each other: neither can be built, tested or published without the other."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from posixpath import dirname

from ...files import SCRIPTS, is_vendored, language
from ...reading.grammars import is_absent
from ...reading.scripts import read_script
from ..finding import Finding, cite, named
from ..survey import Survey

# More imports than these are a design, not a slip.
MAX_BACK = 5
MAX_PAIRS = 4
MAX_NAMES = 4
MAX_PACKAGES = 2000
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Import:
    """A file imports names of another package."""

    path: str
    start_line: int
    end_line: int
    names: tuple[str, ...]


def find_package_rings(survey: Survey) -> Iterator[Finding]:
    """Yields one finding for the packages that a few imports tie to another that depends on them."""
    folders = dict(_packages(survey))
    between: dict[Pair, list[Import]] = {}
    for importer, imported, item in _imports(survey, folders) if len(folders) > 1 else ():
        between.setdefault((importer, imported), []).append(item)
    back = {
        pair: imports
        for pair, imports in between.items()
        if len(imports) <= MAX_BACK and (len(imports), pair) < (len(between.get(pair[::-1], ())), pair[::-1])
    }
    if back:
        yield _finding(survey, back, between)


def _packages(survey: Survey) -> Iterator[tuple[str, str]]:
    """Yields the folders of the workspace's packages with their names."""
    paths = (path for path in survey.snapshot.paths if path.endswith("/package.json") and not is_vendored(path))
    for path, _ in zip(paths, range(MAX_PACKAGES), strict=False):
        source = survey.snapshot.read(path)
        try:
            package = json.loads(source.text) if source else None
        except (ValueError, RecursionError):
            continue
        if isinstance(package, dict) and isinstance(name := package.get("name"), str) and name:
            yield dirname(path), name


def _imports(survey: Survey, folders: dict[str, str]) -> Iterator[tuple[str, str, Import]]:
    """Yields the importing package, the imported one and the import, for imports that are left when types are dropped."""
    known = frozenset(folders.values())
    mentioned = re.compile(rf"[\"'](?:{'|'.join(map(re.escape, sorted(known)))})[\"'/]")
    for source in survey.read(survey.product, SCRIPTS):
        if is_absent(language(source.path)):
            continue
        survey.judge(source.path)
        importer = _package_of(source.path, folders)
        if not importer or source.path.endswith(".d.ts") or not mentioned.search(source.text):
            continue
        if (script := read_script(source)) is None:
            continue
        for item in (*script.imports, *script.passed_on):
            parts = item.module.split("/")
            imported = "/".join(parts[: 2 if item.module.startswith("@") else 1])
            names = tuple(name for name, local in item.names if local in script.used or item in script.passed_on)
            if imported in known and imported != importer and names:
                yield importer, imported, Import(source.path, item.start_line, item.end_line, names)


def _package_of(path: str, folders: dict[str, str]) -> str:
    while (path := dirname(path)) and path not in folders:
        continue
    return folders.get(path, "")


def _finding(survey: Survey, back: dict[Pair, list[Import]], between: dict[Pair, list[Import]]) -> Finding:
    pairs = sorted(back, key=lambda pair: (len(back[pair]), pair))[:MAX_PAIRS]
    places = [item for pair in pairs for item in (*sorted(back[pair]), min(between[pair[::-1]]))]
    sources = ((survey.snapshot.read(item.path), item) for item in places)
    return Finding(
        rule="lens:package-ring",
        title=f"Two packages import each other: {' and '.join(pairs[0])}"
        if len(back) == 1
        else f"{len(back)} pairs of packages import each other, {' and '.join(pairs[0])} first",
        claim="; ".join(_told(pair, back[pair], len(between[pair[::-1]])) for pair in pairs)
        + ". Neither of a pair can be built, tested or published before the other.",
        remedy="Move "
        + "; then ".join(f"{_listed(back[pair])} into `{pair[0]}`" for pair in pairs)
        + ", or into a package that both depend on.",
        evidence=tuple(
            place for source, item in sources if source and (place := cite(source, item.start_line, item.end_line))
        ),
    )


def _told(pair: Pair, back: Sequence[Import], others: int) -> str:
    return (
        f"`{pair[1]}` imports `{pair[0]}` in {named(others, 'place')}, and `{pair[0]}` imports {_listed(back)} back in "
        f"{len(back)}"
    )


def _listed(imports: Iterable[Import]) -> str:
    names = sorted({name for item in imports for name in item.names})
    spoken = [f"`{name}`" if name != "default" else "its default export" for name in names]
    more = len(spoken) - MAX_NAMES
    return ", ".join(spoken[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
