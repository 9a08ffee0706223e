"""Finds the groups of files that import each other in rings. It knows no language."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

Edge = tuple[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Import:
    """One file imports another in a statement. `names` pairs what the other calls them with what they are called here.

    `cycle` is the number of files over which it leads back to its own, where that was told.
    """

    importer: str
    line: int
    imported: str
    names: tuple[tuple[str, str], ...] = ()
    cycle: int = 0


@dataclass(slots=True)
class ImportGraph:
    """The imports between each pair of files."""

    edges: dict[str, dict[str, list[Import]]] = field(default_factory=dict)

    @classmethod
    def of(cls, imports: Iterable[Import]) -> "ImportGraph":
        """Builds the graph; imports of oneself are left out."""
        graph = cls()
        for item in sorted(imports):
            if item.importer != item.imported:
                graph.edges.setdefault(item.importer, {}).setdefault(item.imported, []).append(item)
        return graph

    def inside(self, group: Collection[str]) -> "ImportGraph":
        """Returns the part of the graph among some files."""
        inside = set(group)
        return ImportGraph(
            {
                importer: {target: found for target, found in self.edges[importer].items() if target in inside}
                for importer in sorted(inside & self.edges.keys())
            }
        )

    def without(self, edges: Collection[Edge]) -> "ImportGraph":
        """Returns the graph without some of its edges."""
        return ImportGraph(
            {
                importer: {target: found for target, found in targets.items() if (importer, target) not in edges}
                for importer, targets in self.edges.items()
            }
        )

    def groups(self) -> list[list[str]]:
        """Returns the files that import each other in rings, group by group, the largest first."""
        found = [sorted(group) for group in _strongly_connected(self.edges) if len(group) > 1]
        return sorted(found, key=lambda group: (-len(group), group))


def _strongly_connected(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
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
