"""Finds rings in the graph of imports: strongly connected groups, and the shortest ring within one.

It knows no language; `python_imports` and `file_imports` read the edges.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAX_STARTS = 200


@dataclass(frozen=True, slots=True, order=True)
class Import:
    """One file imports another in a line. `needs_names` tells that the other must have run already for this to work."""

    importer: str
    line: int
    imported: str
    needs_names: bool = True


@dataclass(slots=True)
class ImportGraph:
    """The first import between each pair of files."""

    edges: dict[str, dict[str, Import]] = field(default_factory=dict)

    @classmethod
    def of(cls, imports: Iterable[Import]) -> "ImportGraph":
        """Builds the graph; imports of oneself are left out, and one that needs names stands for its pair."""
        graph = cls()
        for item in sorted(imports):
            if item.importer != item.imported:
                targets = graph.edges.setdefault(item.importer, {})
                known = targets.get(item.imported)
                if known is None or (item.needs_names and not known.needs_names):
                    targets[item.imported] = item
        return graph

    def imports(self) -> list[Import]:
        """Returns all edges, in order."""
        return [
            self.edges[importer][imported]
            for importer in sorted(self.edges)
            for imported in sorted(self.edges[importer])
        ]

    def groups(self) -> list[list[str]]:
        """Returns the strongly connected groups of two files and more, largest first."""
        found = [sorted(group) for group in _strongly_connected(self.edges) if len(group) > 1]
        return sorted(found, key=lambda group: (-len(group), group))

    def shortest_ring(self, group: Sequence[str]) -> list[Import]:
        """Returns the shortest ring inside a group that needs names somewhere; empty when every ring is harmless."""
        inside = set(group)
        best: list[Import] = []
        for start in sorted(group)[:MAX_STARTS]:
            ring = self._ring_from(start, inside, len(best) or len(group) + 1)
            if ring and (not best or len(ring) < len(best)):
                best = ring
            if len(best) == 2:
                break
        return best

    def _ring_from(self, start: str, inside: set[str], limit: int) -> list[Import]:
        """Searches by breadth; a state is (file, whether an import on the way needs names)."""
        came: dict[tuple[str, bool], tuple[tuple[str, bool], Import] | None] = {(start, False): None}
        waiting = deque([((start, False), 0)])
        while waiting:
            state, depth = waiting.popleft()
            for imported, edge in sorted(self.edges.get(state[0], {}).items()):
                reached = (imported, state[1] or edge.needs_names)
                if imported == start and reached[1]:
                    return [*_path(came, state), edge]
                if imported in inside and imported != start and reached not in came and depth + 2 < limit:
                    came[reached] = (state, edge)
                    waiting.append((reached, depth + 1))
        return []


def _path(
    came: dict[tuple[str, bool], tuple[tuple[str, bool], Import] | None], state: tuple[str, bool]
) -> list[Import]:
    edges: list[Import] = []
    while step := came[state]:
        state = step[0]
        edges.append(step[1])
    return edges[::-1]


def _strongly_connected(edges: dict[str, dict[str, Import]]) -> list[list[str]]:
    """Runs Tarjan's algorithm without recursion: a long chain of imports must not exhaust the stack."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    groups: list[list[str]] = []
    for root in sorted(edges):
        work = [(root, iter(sorted(edges.get(root, ()))))] if root not in index else []
        while work:
            node, targets = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
            for target in targets:
                if target not in index:
                    work.append((target, iter(sorted(edges.get(target, ())))))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    cut = stack.index(node)
                    groups.append(stack[cut:])
                    on_stack.difference_update(stack[cut:])
                    del stack[cut:]
    return groups
