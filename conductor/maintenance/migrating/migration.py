"""Migrates a conductor: rows, proof, snapshots, and the switch, in this order. After a kill at any point the same call goes on."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conductor.errors import MigrationError
from conductor.maintenance.migrating.copying import compare_tables, copy_tables
from conductor.maintenance.migrating.judgement import Way, arriving, judge, leaving, standing_after
from conductor.maintenance.migrating.proof import Proof, prove, told
from conductor.maintenance.migrating.snapshots import Route, SnapshotSide, carry
from conductor.store.raw import RawStore, Standing
from conductor.store.rows.tables import RUNS, TABLES, Row, Table

Tell = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Side:
    """A store, and where the snapshots of its runs lie."""

    store: RawStore
    snapshots: SnapshotSide

    @property
    def place(self) -> str:
        """The store's place."""
        return self.store.place


@dataclass(frozen=True, slots=True)
class Migrated:
    """What was migrated, or would be. `rows` counts them by table; `damaged` runs were copied as they are."""

    conductor_id: str
    epoch: int
    rows: dict[str, int]
    runs: int
    damaged: tuple[str, ...]
    lost_snapshots: tuple[str, ...] = ()


async def rehearse(source: Side, target: Side) -> Migrated:
    """Does all that changes nothing: judges, counts, and proves the lists of the source."""
    standing, _ = await _judge(source, target)
    proof = await prove(source.store)
    _refuse_differences(source.place, proof)
    rows = {table.name: await source.store.count(table) for table in TABLES}
    return Migrated(standing.conductor_id, standing.epoch + 1, rows, proof.runs, tuple(proof.damaged))


async def migrate(source: Side, target: Side, tell: Tell) -> Migrated:
    """Migrates; tells what is at work and how far it is. Idempotent."""
    standing, way = await _judge(source, target)
    whole = standing_after(standing)
    if way is Way.NOTHING:
        found = await target.store.standing() or whole
        return Migrated(found.conductor_id, found.epoch, {}, 0, ())
    if way is Way.BEGIN:
        await target.store.begin(arriving(standing, source.place))
    await copy_tables(source.store, target.store, tell)
    rows = await compare_tables(source.store, target.store, _compared)
    proof = await prove(target.store)
    _refuse_differences(source.place, proof)
    with tempfile.TemporaryDirectory(prefix="conductor-migrate-") as scratch:
        route = Route(source.snapshots, target.snapshots, whole.conductor_id, whole.epoch, Path(scratch))
        lost = await carry(route, proof.snapshots, tell)
    if standing.move is None:  # else it was killed right after this
        await source.store.leave(leaving(standing, target.place))
    await target.store.finish(whole)
    return Migrated(whole.conductor_id, whole.epoch, rows, proof.runs, tuple(proof.damaged), tuple(lost))


async def _judge(source: Side, target: Side) -> tuple[Standing, Way]:
    standing = await source.store.standing()
    way = judge(standing, await target.store.standing(), source.place, target.place)
    if standing is None:
        raise MigrationError(f"there is no conductor in {source.place}")
    return standing, way


def _compared(table: Table, row: Row) -> object:
    """Returns what of a row must be equal on both sides: an engine may keep a run's plan shorter."""
    if table is not RUNS:
        return row
    return {**told(table, row), "delete_time": row[table.columns.index("delete_time")]}


def _refuse_differences(place: str, proof: Proof) -> None:
    if proof.differences:
        text = f"the lists of {place} do not follow from its journal: {'; '.join(proof.differences[:3])}"
        raise MigrationError(
            text, hint="this is a defect; nothing was switched over. conductor doctor looks for damage"
        )
