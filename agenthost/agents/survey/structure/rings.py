"""Finds rings of imports and says what to move so that they end: one finding for each large ring, one for all small ones.

It knows no language: `Files` answers for those of one. A ring that only a new design ends is known to its authors, and not given.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from ..finding import Evidence, Finding, cite
from ..survey import Survey
from .import_graph import Edge, Import, ImportGraph

RULE = "lens:import-ring"
SMALL = 4
LARGE = 10
MAX_MOVES = 4
MAX_NAMES = 4
MAX_SMALL = 10
MAX_CHOICES = 300


@dataclass(frozen=True, slots=True)
class Hazard:
    """A name that a file needs while it loads, from another of its ring that may be loaded first."""

    item: Import
    name: str
    line: int


class Files(Protocol):
    """The files of one language."""

    def can_move(self, path: str, name: str, group: Collection[str]) -> bool:
        """Returns whether what a file declares under a name needs nothing of a group of files."""

    def line(self, path: str, name: str) -> int:
        """Returns the line of a declaration."""

    def hazard(self, graph: ImportGraph, group: Collection[str]) -> Hazard | None:
        """Returns a name in a group that is not there where the group is entered at the file that declares it."""


@dataclass(frozen=True, slots=True)
class Move:
    """Names to move out of a file, and the imports that then lead to another file."""

    path: str
    names: tuple[str, ...]
    imports: tuple[Import, ...]


@dataclass(frozen=True, slots=True)
class Ring:
    """A group of files that import each other, what to move, and how many files stay in a ring then."""

    group: tuple[str, ...]
    moves: tuple[Move, ...]
    left: int
    hazard: Hazard | None = None


def find_rings(survey: Survey, graph: ImportGraph, files: Files) -> Iterator[Finding]:
    """Yields the rings of a graph."""
    rings = [relieve(graph, group, files) for group in graph.groups()]
    solved = [
        ring for ring in rings if ring.moves and ring.left <= (len(ring.group) // 2 if len(ring.group) >= LARGE else 0)
    ]
    small = [ring for ring in solved if len(ring.group) <= SMALL and not ring.hazard]
    if len(small) > 1:
        yield _small(survey, files, small)
    yield from (_alone(survey, files, ring) for ring in solved if ring not in small or len(small) == 1)


def relieve(graph: ImportGraph, group: Sequence[str], files: Files) -> Ring:
    """Starts with every possible move, and drops those without which no more files stay in rings, the costliest first."""
    part = graph.inside(group)
    choices = {path: edges for path in group if (edges := _movable(part, path, group, files))}
    choices = dict(sorted(choices.items(), key=lambda choice: (-len(choice[1]), choice[0]))[:MAX_CHOICES])
    left = _tied(part, choices)
    for path in sorted(choices, key=lambda path: (-len(_names(part, choices[path])), path)):
        others = {other: edges for other, edges in choices.items() if other != path}
        if _tied(part, others) == left:
            choices = others
    moves = [
        Move(path, _names(part, edges), tuple(item for edge in edges for item in part.between(edge)))
        for path, edges in choices.items()
    ]
    moves.sort(key=lambda move: (-len(move.imports), move.path))
    return Ring(tuple(group), tuple(moves), left, files.hazard(graph, group))


def _tied(graph: ImportGraph, choices: dict[str, list[Edge]]) -> int:
    """Counts the files that are in a ring when these imports are gone."""
    return sum(map(len, graph.without({edge for edges in choices.values() for edge in edges}).groups()))


def _movable(graph: ImportGraph, path: str, group: Collection[str], files: Files) -> list[Edge]:
    """Returns the imports of a file of which all names can be moved out of it."""
    into = [(importer, path) for importer in sorted(graph.edges) if path in graph.edges[importer]]
    named = [edge for edge in into if all(item.names for item in graph.between(edge))]
    movable = {name for name in _names(graph, named) if files.can_move(path, name, group)}
    return [edge for edge in named if movable.issuperset(_names(graph, [edge]))]


def _names(graph: ImportGraph, edges: Collection[Edge]) -> tuple[str, ...]:
    return tuple(sorted({name for edge in edges for item in graph.between(edge) for name, _ in item.names}))


def _alone(survey: Survey, files: Files, ring: Ring) -> Finding:
    count, first, hazard = len(ring.group), ring.moves[0], ring.hazard
    rings = "Two files import each other" if count == 2 else f"{count} files import each other in rings"
    moves = [_moved(move) for move in ring.moves[:MAX_MOVES]]
    moves += [f"and so for {len(ring.moves) - MAX_MOVES} more files"] if len(ring.moves) > MAX_MOVES else []
    opening = [item for item in [hazard and quote(survey, hazard.item.importer, hazard.line)] if item]
    return Finding(
        title=f"{rings}, and the order of loading decides if `{hazard.name}` is there"
        if hazard
        else f"{rings}, {'only' if count == 2 else f'{len(first.imports)} of the imports'} for {listed(first.names, 2)}",
        claim=f"{_danger(hazard) if hazard else ''}{_way(ring.group, first)}",
        remedy=f"Move {'; then '.join(moves)}. "
        + (f"{ring.left} of the {count} files stay in one." if ring.left else "No ring is left then."),
        rule=RULE,
        evidence=(*opening, *(item for move in ring.moves[:MAX_MOVES] for item in _ends(survey, files, move))),
    )


def _small(survey: Survey, files: Files, rings: Sequence[Ring]) -> Finding:
    moves = [move for ring in rings for move in ring.moves][:MAX_SMALL]
    return Finding(
        title=f"{len(rings)} small rings of imports, each only for names that could stand elsewhere",
        claim=f"{sum(len(ring.group) for ring in rings)} files import each other in {len(rings)} rings. These are imported back: "
        f"{'; '.join(f'{listed(move.names)} of `{move.path}`' for move in moves)}. What is named needs nothing of its ring.",
        remedy="Move these names to files of their own, and import them from there. No ring is left then.",
        rule=RULE,
        evidence=tuple(item for move in moves for item in _ends(survey, files, move)),
    )


def _way(group: Sequence[str], move: Move) -> str:
    need = "which needs" if len(move.names) == 1 else "which need"
    if len(group) == 2:
        other = next(path for path in group if path != move.path)
        return f"`{move.path}` imports `{other}`, and that imports {listed(move.names)} back, {need} nothing of it."
    users = len({item.importer for item in move.imports})
    return (
        f"None of the {len(group)} files loads without the others. {users} of them import{'s' * (users == 1)} "
        f"{listed(move.names)} from `{move.path}`, {need} nothing of the ring."
    )


def _danger(hazard: Hazard) -> str:
    importer, imported = (
        "/".join(PurePosixPath(path).parts[-2:]) for path in (hazard.item.importer, hazard.item.imported)
    )
    return (
        f"`{importer}` needs `{hazard.name}` while it loads (line {hazard.line}): where `{imported}` is loaded first, that is "
        "not there yet. "
    )


def _ends(survey: Survey, files: Files, move: Move) -> Iterator[Evidence]:
    """Quotes where the first name is declared, and an import of it."""
    ends = quote(survey, move.path, files.line(move.path, move.names[0])), quote_import(survey, move.imports[0])
    yield from (item for item in ends if item)


def quote(survey: Survey, path: str, line: int, end_line: int | None = None) -> Evidence | None:
    """Quotes lines of a file."""
    source = survey.snapshot.read(path)
    return cite(source, line, end_line) if source else None


def quote_import(survey: Survey, item: Import) -> Evidence | None:
    """Quotes a whole import, or its last line where it is too long: the one that names the file."""
    whole = quote(survey, item.importer, item.start_line, item.end_line)
    return whole if whole and whole.end_line >= item.end_line else quote(survey, item.importer, item.end_line)


def _moved(move: Move) -> str:
    return f"{listed(move.names)} from `{move.path}` to a file of {'its' if len(move.names) == 1 else 'their'} own"


def listed(names: Iterable[str], limit: int = MAX_NAMES) -> str:
    """Returns the first names, and how many more there are."""
    spoken = [f"`{name}`" if name != "default" else "its default export" for name in names]
    return ", ".join(spoken[:limit]) + (f" and {len(spoken) - limit} more" if len(spoken) > limit else "")
