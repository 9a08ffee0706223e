"""Finds rings of imports and says what to move so that they end: a result for each ring.

A ring that only a new design ends is known to its authors, and not told. Nor is one that only a barrel makes: its names come from
files outside of it.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...files import is_example, is_test, is_vendored
from ..results import Result
from .files import RingFiles
from .graph import Edge, Import, ImportGraph

RULE, SMALL_RULE = "import-ring", "small-import-ring"
SMALL = 4
LARGE = 10
MAX_CHOICES = 300
# Near to the bound of oxlint's search (configurations/oxlint.json) cycles are missed, and nothing can be said of what ends a ring.
MAX_CYCLE = 36
MAX_MOVES = 4
MAX_NAMES = 4


@dataclass(frozen=True, slots=True)
class Move:
    """Names to move out of a file, and the imports that then lead to another file."""

    path: str
    names: tuple[str, ...]
    imports: tuple[Import, ...]


def find_rings(root: Path, cycles: Collection[Import]) -> Iterator[Result]:
    """Yields the rings of some cycles of the product's files. Paths begin at the root."""
    among = [item for item in cycles if not (_is_apart(item.importer) or _is_apart(item.imported))]
    longest = max(among, key=lambda item: item.cycle, default=None)
    if longest and longest.cycle >= MAX_CYCLE:
        yield _endless(longest)
        return
    files = RingFiles(root, among)
    graph = ImportGraph.of(files.imports())
    # What a file on a cycle imports is told, too, but where its author silences it, or where it is in another batch.
    silent = {item.imported for item in cycles} - {item.importer for item in cycles}
    unsure = {item.importer for item in cycles if item.imported in silent}
    for group in graph.groups():
        if unsure.intersection(group):
            continue
        part = graph.inside(group)
        moves, left = relieve(part, files)
        if moves and left <= (len(group) // 2 if len(group) >= LARGE else 0):
            yield _result(files, group, moves, left)


def relieve(graph: ImportGraph, files: RingFiles) -> tuple[list[Move], int]:
    """Returns the moves without which more files of a group stay in rings, and how many stay in any case.

    It starts with every possible move, and drops those that change nothing, the costliest first.
    """
    choices = {path: edges for path in graph.edges if (edges := _movable(graph, path, files))}
    choices = dict(sorted(choices.items(), key=lambda choice: (-len(choice[1]), choice[0]))[:MAX_CHOICES])
    left = _tied(graph, choices)
    for path in sorted(choices, key=lambda path: (-len(_names(graph, choices[path])), path)):
        others = {other: edges for other, edges in choices.items() if other != path}
        if _tied(graph, others) == left:
            choices = others
    moves = [
        Move(path, _names(graph, edges), tuple(item for a, b in edges for item in graph.edges[a][b]))
        for path, edges in choices.items()
    ]
    return sorted(moves, key=lambda move: (-len(move.imports), move.path)), left


def _is_apart(path: str) -> bool:
    return is_test(path) or is_vendored(path) or is_example(path) or "node_modules/" in path


def _tied(graph: ImportGraph, choices: dict[str, list[Edge]]) -> int:
    """Counts the files that are in a ring when these imports are gone."""
    return sum(map(len, graph.without({edge for edges in choices.values() for edge in edges}).groups()))


def _movable(graph: ImportGraph, path: str, files: RingFiles) -> list[Edge]:
    """Returns the imports of a file of which all names can be moved out of it."""
    into = [(importer, path) for importer, targets in graph.edges.items() if path in targets]
    named = [edge for edge in into if all(item.names for item in graph.edges[edge[0]][path])]
    movable = {name for name in _names(graph, named) if files.can_move(path, name, graph)}
    return [edge for edge in named if movable.issuperset(_names(graph, [edge]))]


def _names(graph: ImportGraph, edges: Collection[Edge]) -> tuple[str, ...]:
    return tuple(sorted({name for a, b in edges for item in graph.edges[a][b] for name, _ in item.names}))


def _result(files: RingFiles, group: Sequence[str], moves: Sequence[Move], left: int) -> Result:
    first, count = moves[0], len(group)
    line = files.line(first.path, first.names[0])
    if count <= SMALL:
        many = "Two" if count == 2 else str(count)
        named = " and ".join(f"{_listed(move.names, 2)} of `{move.path}`" for move in moves)
        return Result(
            SMALL_RULE, "note", f"{many} files would not import each other without {named}.", first.path, line, line
        )
    ways = [
        f"{_users(move)} of the files import {_listed(move.names)} from `{move.path}`" for move in moves[:MAX_MOVES]
    ]
    ways += [f"and so with {len(moves) - MAX_MOVES} more files"] if len(moves) > MAX_MOVES else []
    text = (
        # Without a number: the title is by what a baseline knows it.
        f"Files import each other in rings, first of all for {_listed(first.names[:2])}{' and others' * (len(first.names) > 2)}\n"
        f"None of the {count} files loads without the others. {'; '.join(ways)}. What is named needs nothing of the ring: "
        f"in files of {'its' if len(moves) == len(first.names) == 1 else 'their'} own "
        + (f"only {left} of the {count} files would stay in one." if left else "no ring would be left.")
    )
    return Result(RULE, "note", text, first.path, line, line)


def _endless(item: Import) -> Result:
    text = (
        f"Files import each other in rings of {MAX_CYCLE} and more\n"
        f"This import leads over {item.cycle} files back to its own. Where so many files need each other, no few names end it."
    )
    return Result(RULE, "note", text, item.importer, item.line, item.line)


def _users(move: Move) -> int:
    return len({item.importer for item in move.imports})


def _listed(names: Sequence[str], limit: int = MAX_NAMES) -> str:
    spoken = [f"`{name}`" if name != "default" else "the default export" for name in names]
    return ", ".join(spoken[:limit]) + (f" and {len(spoken) - limit} more" if len(spoken) > limit else "")
