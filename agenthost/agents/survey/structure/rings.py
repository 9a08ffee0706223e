"""Words rings of imports as findings: one for each large group of files, one for all small ones, one for those of a barrel."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..finding import Evidence, Finding, Severity, cite, named
from ..survey import Survey
from .import_graph import Import
from .relief import Move, Relief

RULE, BARREL_RULE = "lens:import-ring", "lens:barrel-ring"
SMALL = 4
MAX_MOVES = 4
MAX_NAMES = 4
MAX_SMALL = 12
Place = Callable[[str, str], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Hazard:
    """A name that a file needs while it loads, from another that may load it first."""

    item: Import
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Ring:
    """A group of files that import each other, what to move, and what may fail."""

    group: tuple[str, ...]
    relief: Relief
    hazard: Hazard | None = None


class Rings:
    """The wording of the rings of one language. `place` returns the lines of a declaration."""

    def __init__(self, survey: Survey, place: Place) -> None:
        self._survey = survey
        self._place = place

    def findings(self, rings: Sequence[Ring]) -> Iterator[Finding]:
        """Yields one finding for each large ring, and one for all small ones."""
        # What nothing but a new design ends is known to its authors, and waits for that.
        solved = [ring for ring in rings if ring.relief.moves and ring.relief.left <= len(ring.group) / 2]
        alone = [ring for ring in solved if len(ring.group) > SMALL or ring.hazard]
        small = [ring for ring in solved if ring not in alone]
        if len(small) == 1:
            alone, small = [*alone, *small], []
        yield from (self._alone(ring) for ring in alone)
        if small:
            yield self._small(small)

    def barrel(self, path: str, imports: Sequence[Import], group: Collection[str]) -> Finding:
        """Words the imports of a barrel by files that it loads itself."""
        places = [item for one in imports if (item := cite_import(self._survey, one))]
        return Finding(
            category="structure",
            severity=Severity.LOW,
            title=f"{len(group)} files import each other only through a barrel: {path}",
            claim=f"`{path}` loads them, and they import from it: {named(len(imports), 'import')}. No file that declares these "
            "names imports another of the ring back.",
            remedy="Import from the file that declares the name: " + "; ".join(map(_direct, imports[:MAX_MOVES])) + ".",
            rule=BARREL_RULE,
            evidence=tuple(places),
            weight=len(group),
        )

    def _alone(self, ring: Ring) -> Finding:
        moves, count = ring.relief.moves, len(ring.group)
        moved = [_moved(move) for move in moves[:MAX_MOVES]]
        more = f"; and so for {len(moves) - MAX_MOVES} more files" if len(moves) > MAX_MOVES else ""
        left = f"{ring.relief.left} of the {count} files stay in one." if ring.relief.left else "No ring is left then."
        return Finding(
            category="structure",
            severity=Severity.MEDIUM if ring.hazard else Severity.LOW,
            title=_title(ring),
            claim=" ".join([*([_danger(ring.hazard)] if ring.hazard else []), _way(ring)]),
            remedy=f"{'; then '.join(moved)}{more}. {left}".replace("m", "M", 1),
            rule=RULE,
            evidence=tuple(self._evidence(ring)),
            weight=count,
        )

    def _small(self, rings: Sequence[Ring]) -> Finding:
        moves = [move for ring in rings for move in ring.relief.moves]
        files = sum(len(ring.group) for ring in rings)
        details = "; ".join(f"`{move.path}` for {_listed(move.names)}" for move in moves[:MAX_SMALL])
        return Finding(
            category="structure",
            severity=Severity.LOW,
            title=f"{len(rings)} small rings of imports, each for names that could stand elsewhere",
            claim=f"{files} files import each other in {len(rings)} rings. These are imported back: {details}. What is "
            "named needs nothing of its ring.",
            remedy="Move these names to files of their own, and import them from there. No ring is left then.",
            rule=RULE,
            evidence=tuple(item for move in moves[:MAX_SMALL] for item in self._ends(move)),
            weight=len(rings),
        )

    def _evidence(self, ring: Ring) -> Iterator[Evidence]:
        hazard = ring.hazard
        if hazard and (item := _cite(self._survey, hazard.item.importer, hazard.line)):
            yield item
        for move in ring.relief.moves[:MAX_MOVES]:
            yield from self._ends(move)

    def _ends(self, move: Move) -> Iterator[Evidence]:
        """Quotes where the first name is declared, and an import of it."""
        if item := _cite(self._survey, move.path, self._place(move.path, move.names[0])[0]):
            yield item
        if item := cite_import(self._survey, move.imports[0]):
            yield item


def cite_import(survey: Survey, item: Import) -> Evidence | None:
    """Quotes a whole import, or its last line where it is too long: the one that names the file."""
    source = survey.snapshot.read(item.importer)
    whole = cite(item.importer, source.lines, item.start_line, item.end_line) if source else None
    if source and whole and whole.end_line < item.end_line:
        return cite(item.importer, source.lines, item.end_line)
    return whole


def _cite(survey: Survey, path: str, line: int) -> Evidence | None:
    source = survey.snapshot.read(path)
    return cite(path, source.lines, line) if source else None


def _title(ring: Ring) -> str:
    count, move, hazard = len(ring.group), ring.relief.moves[0], ring.hazard
    files = "two files import each other" if count == 2 else f"{count} files import each other in rings"
    if hazard:
        return f"The order of loading decides if `{hazard.name}` is there: {files}"
    if count == 2:
        return f"Two files import each other only for {_listed(move.names)}"
    return f"{files}, {len(move.imports)} of the imports for {_listed(move.names, 2)}"


def _way(ring: Ring) -> str:
    move = ring.relief.moves[0]
    need = "which needs" if len(move.names) == 1 else "which need"
    if len(ring.group) == 2:
        other = next(path for path in ring.group if path != move.path)
        return f"`{move.path}` imports `{other}`, and that imports {_listed(move.names)} back, {need} nothing of it."
    users = len({item.importer for item in move.imports})
    return (
        f"None of the {len(ring.group)} files loads without the others. {named(users, 'of them imports', 'of them import')} "
        f"`{move.path}` for {_listed(move.names)}, {need} nothing of the ring."
    )


def _danger(hazard: Hazard) -> str:
    importer, imported = hazard.item.importer, hazard.item.imported
    return (
        f"`{_short(importer)}` needs `{hazard.name}` while it loads (line {hazard.line}): where `{_short(imported)}` is loaded "
        "first, that is not there yet."
    )


def _short(path: str) -> str:
    return "/".join(PurePosixPath(path).parts[-2:])


def _moved(move: Move) -> str:
    return (
        f"move {_listed(move.names)} from `{move.path}` to a file of {'its' if len(move.names) == 1 else 'their'} own"
    )


def _direct(item: Import) -> str:
    return f"`{item.importer}` line {item.start_line} from `{item.imported}`"


def _listed(names: Iterable[str], limit: int = MAX_NAMES) -> str:
    spoken = [f"`{name}`" if name != "default" else "its default export" for name in names]
    more = f" and {len(spoken) - limit} more" if len(spoken) > limit else ""
    return ", ".join(spoken[:limit]) + more
