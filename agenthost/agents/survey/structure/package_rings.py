"""Finds packages of one workspace that import each other: neither can be built, tested or published without the other."""

from collections.abc import Iterable, Iterator, Sequence

from ..finding import Finding, named
from ..survey import Survey
from .import_graph import Import
from .rings import listed, quote_import
from .script_imports import ScriptImports

# More imports than these are a design, not a slip.
MAX_BACK = 5
MAX_PAIRS = 4
Pair = tuple[str, str]


def find_package_rings(survey: Survey, scripts: ScriptImports, loaded: Iterable[Import]) -> Iterator[Finding]:
    """Yields one finding for the packages that a few imports tie to another that depends on them."""
    between: dict[Pair, list[Import]] = {}
    for item in loaded:
        pair = scripts.package(item.importer), scripts.package(item.imported)
        if all(pair) and pair[0] != pair[1] and item.names and not item.importer.endswith(".d.ts"):
            between.setdefault(pair, []).append(item)
    mutual = {pair for pair in between if pair[::-1] in between}
    running = {pair: [item for item in between[pair] if scripts.runs(item)] for pair in sorted(mutual)}
    back = {
        pair: imports
        for pair, imports in running.items()
        if 0 < len(imports) <= MAX_BACK and (len(imports), pair) < (len(running[pair[::-1]]), pair[::-1])
    }
    if back:
        yield _finding(survey, back, running)


def _finding(survey: Survey, back: dict[Pair, list[Import]], running: dict[Pair, list[Import]]) -> Finding:
    pairs = sorted(back, key=lambda pair: (len(back[pair]), pair))[:MAX_PAIRS]
    places = (quote_import(survey, item) for pair in pairs for item in (*back[pair], running[pair[::-1]][0]))
    return Finding(
        title=f"Two packages import each other: {' and '.join(pairs[0])}"
        if len(back) == 1
        else f"{len(back)} pairs of packages import each other, {' and '.join(pairs[0])} first",
        claim="; ".join(_told(pair, back[pair], len(running[pair[::-1]])) for pair in pairs)
        + ". Neither of a pair can be built, tested or published before the other.",
        remedy="Move "
        + "; then ".join(f"{listed(_names(back[pair]))} into `{pair[0]}`" for pair in pairs)
        + ", or into a package that both depend on.",
        rule="lens:package-ring",
        evidence=tuple(item for item in places if item),
    )


def _told(pair: Pair, back: Sequence[Import], others: int) -> str:
    return (
        f"`{pair[1]}` imports `{pair[0]}` in {named(others, 'place')}, and `{pair[0]}` imports {listed(_names(back))} back in "
        f"{len(back)}"
    )


def _names(imports: Iterable[Import]) -> list[str]:
    return sorted({name for item in imports for name, _ in item.names})
