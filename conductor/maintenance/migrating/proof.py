"""Makes the lists of every run again from its journal, and compares them with those that are kept: the journal is the truth.

A run whose journal cannot be read has nothing to be compared with; one that is being removed is only in part there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from conductor.core.model.events.run_events import RunCreated
from conductor.core.model.plan import RunPlan, SnapshotPlan
from conductor.core.model.states import Failure
from conductor.maintenance.migrating.copying import rows
from conductor.store.codec import UndecodableEventError, decode, decode_event
from conductor.store.port import LISTED_QUESTION
from conductor.store.raw import RawStore
from conductor.store.rows.tables import BLOBS, FINDINGS, JOURNAL, RUNS, Row, Table
from conductor.store.sqlite.upkeep.rebuilding import LISTS, ListRebuilder

MAX_TOLD = 20
# A list does not say these: they are not in the journal, or only order rows.
_UNTOLD = {RUNS: ("delete_time", "compacted_to"), FINDINGS: ("key",)}


@dataclass(slots=True)
class Proof:
    """The result. `snapshots` are those of the runs that callers asked for, by run."""

    runs: int = 0
    damaged: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    snapshots: dict[str, SnapshotPlan] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Notes a difference."""
        if len(self.differences) < MAX_TOLD:
            self.differences.append(text)


async def prove(store: RawStore) -> Proof:
    """Compares the lists of every run."""
    proof = Proof()
    with ListRebuilder() as rebuilder:
        async for row in rows(store, RUNS):
            listed = dict(zip(RUNS.columns, row, strict=True))
            if listed["delete_time"] is not None:
                continue
            proof.runs += 1
            name = str(listed["run"])
            try:
                await _prove_run(store, rebuilder, row, proof)
            except UndecodableEventError:
                proof.damaged.append(name)
    return proof


async def _prove_run(store: RawStore, rebuilder: ListRebuilder, row: Row, proof: Proof) -> None:
    key, name = row[0], str(row[1])
    journal = await store.matching(JOURNAL, "run", key)
    if journal and (snapshot := _snapshot_of(journal[0])) is not None:
        proof.snapshots[name] = snapshot
    documents = {}
    for digest in rebuilder.find_documents(journal):
        found = await store.matching(BLOBS, "digest", digest)
        documents[digest] = bytes(found[0][1]) if found and isinstance(found[0][1], bytes) else b""
    rebuilt = rebuilder.rebuild(journal, documents)
    for table in LISTS:
        kept = [row] if table is RUNS else await store.matching(table, "run", key)
        if difference := _find_difference(table, kept, rebuilt[table]):
            proof.note(f"run {name}: {difference}")


def _snapshot_of(row: Row) -> SnapshotPlan | None:
    event = decode_event(str(row[4]), str(row[6]))
    if not isinstance(event, RunCreated) or event.plan.parent is not None:
        return None
    return event.plan.snapshot


def _find_difference(table: Table, kept: Sequence[Row], rebuilt: Sequence[Row]) -> str:
    if len(kept) != len(rebuilt):
        return f"'{table.name}' has {len(kept)} rows, and the journal says {len(rebuilt)}"
    for one, other in zip(kept, rebuilt, strict=True):
        here, there = told(table, one), told(table, other)
        for name in here:
            if here[name] != there[name]:
                return f"'{table.name}.{name}' is {_short(here[name])}, and the journal says {_short(there[name])}"
    return ""


def told(table: Table, row: Row) -> Mapping[str, object]:
    """Returns what a row of a list says, the same for every engine."""
    values: dict[str, object] = dict(zip(table.columns, row, strict=True))
    for name in _UNTOLD.get(table, ()):
        del values[name]
    if table is RUNS:
        values["plan"] = _read(RunPlan, values["plan"])
        values["failure"] = _read(Failure, values["failure"])
    return values


def _read(kind: type, text: object) -> object:
    """Returns what a text of any version says, with a question of any length; the text itself where it cannot be read."""
    if not isinstance(text, str):
        return text
    try:
        found = decode(kind, text)
    except UndecodableEventError:
        return text
    return replace(found, question=found.question[:LISTED_QUESTION]) if isinstance(found, RunPlan) else found


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
