"""Finds what to move so that rings of imports end: names that other files of a ring need, and that need nothing of the ring.

It knows no language: `can_move` tells of a name whether what it declares could stand in a file of its own.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from .import_graph import Edge, Import, ImportGraph

CanMove = Callable[[str, str, Collection[str]], bool]


@dataclass(frozen=True, slots=True)
class Move:
    """Names to move out of a file, and the imports that then lead to another file."""

    path: str
    names: tuple[str, ...]
    imports: tuple[Import, ...]


@dataclass(frozen=True, slots=True)
class Relief:
    """The moves that free most files of a group from their rings, and how many files are left in one."""

    moves: tuple[Move, ...]
    left: int


def find_relief(graph: ImportGraph, group: Collection[str], can_move: CanMove) -> Relief:
    """Starts with every move, and drops those without which no more files are left in rings, the costliest first."""
    part = graph.inside(group)
    choices = {path: edges for path in sorted(group) if (edges := _movable(part, path, group, can_move))}
    left = _tied(part, choices)
    for path in sorted(choices, key=lambda path: (-len(_names(part, choices[path])), path)):
        others = {other: edges for other, edges in choices.items() if other != path}
        if _tied(part, others) == left:
            choices = others
    moves = [Move(path, _names(part, edges), tuple(_statements(part, edges))) for path, edges in choices.items()]
    return Relief(tuple(sorted(moves, key=lambda move: (-len(move.imports), move.path))), left)


def _tied(graph: ImportGraph, choices: dict[str, list[Edge]]) -> int:
    """Counts the files that are in a ring when these imports are gone."""
    return sum(map(len, graph.without({edge for edges in choices.values() for edge in edges}).groups()))


def _movable(graph: ImportGraph, path: str, group: Collection[str], can_move: CanMove) -> list[Edge]:
    """Returns the imports of a file of which all names can be moved out of it."""
    into = [(importer, path) for importer in sorted(graph.edges) if path in graph.edges[importer]]
    named = [edge for edge in into if all(item.names for item in graph.between(edge))]
    movable = {name for name in _names(graph, named) if can_move(path, name, group)}
    return [edge for edge in named if movable.issuperset(_names(graph, [edge]))]


def _names(graph: ImportGraph, edges: Collection[Edge]) -> tuple[str, ...]:
    return tuple(sorted({name for item in _statements(graph, edges) for name, _ in item.names}))


def _statements(graph: ImportGraph, edges: Collection[Edge]) -> list[Import]:
    return [item for edge in edges for item in graph.between(edge)]
