"""A backup is made while the conductor works, holds all of one moment, and goes on elsewhere as another conductor. Keeps I6."""

import asyncio
import io
import json
import sqlite3
import stat
import tarfile
from pathlib import Path

import pytest

from conductor.config import SNAPSHOTS_FOLDER
from conductor.errors import BackupError, DatabaseInUseError, DatabaseTooNewError, StorageError
from conductor.maintenance.backup import MEMBERS, make_backup, restore_backup
from conductor.snapshots import SnapshotStore
from conductor.store.records import RunFilter
from conductor.store.sqlite.store import SqliteStore
from conductor.v1 import run_service_pb2 as pb
from tests.conductor.running_conductor import agent_step, running_conductor
from tests.conductor.store.material import attempt, attempt_name, creation, damages, run_name, settlement, speech
from tests.fakes.execution_host import ExecutionHost, finished, said, started

pytestmark = pytest.mark.processes


async def fill(folder: Path) -> None:
    """A data folder with two runs and their snapshots."""
    workspace = folder.parent / "workspace"
    workspace.mkdir()
    async with await SqliteStore.open(folder) as store:
        snapshots = await SnapshotStore.open(folder / SNAPSHOTS_FOLDER)
        for number in (1, 2):
            (workspace / "file").write_text(f"content {number}")
            snapshot = await snapshots.pin(workspace)
            await snapshots.keep(run_name(number), snapshot.commit)
            await store.append(creation(run_name(number), snapshot=snapshot), 1.0)
        await store.append(settlement(run_name(1)), 2.0)


async def test_a_backup_under_load_is_sound_and_holds_all_of_one_moment(tmp_path: Path) -> None:
    """The writer goes on, and what was committed before the backup began is in it."""
    folder, stop = tmp_path / "data", asyncio.Event()
    async with await SqliteStore.open(folder) as store:
        await store.append(creation(run_name(1)), 1.0)
        await store.append(attempt(run_name(1)), 2.0)
        said_before = 0

        async def talk() -> int:
            number = 0
            while not stop.is_set():
                number += 1
                await store.append(speech(run_name(1), f"{number} ".ljust(1000), cursor=number), 3.0)
            return number

        async with asyncio.TaskGroup() as tasks:
            talking = tasks.create_task(talk())
            while said_before < 1_000_000:
                _, said_before = await store.channel(attempt_name(run_name(1)), "answer", 0, 1)
                await asyncio.sleep(0)
            before = said_before
            made = await asyncio.to_thread(make_backup, folder, tmp_path / "backup.tar")
            _, said_after = await store.channel(attempt_name(run_name(1)), "answer", 0, 1)
            stop.set()

    await asyncio.to_thread(restore_backup, made.path, tmp_path / "restored")
    assert damages(tmp_path / "restored") == []
    async with await SqliteStore.open(tmp_path / "restored") as restored:
        _, said_then = await restored.channel(attempt_name(run_name(1)), "answer", 0, 1)
    assert before <= said_then < said_after <= talking.result() * 1000
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "data", "restored"]


async def test_no_key_is_in_a_backup(tmp_path: Path) -> None:
    """Keeps K3: the key of the pool's CA leaves its folder by no backup, nor does any other certificate's."""
    await fill(tmp_path / "data")
    secret = b"-----BEGIN PRIVATE KEY-----"
    (tmp_path / "data" / "tls").mkdir()
    for name in ("ca-key.pem", "server-key.pem", "client-key.pem"):
        (tmp_path / "data" / "tls" / name).write_bytes(secret)

    made = await asyncio.to_thread(make_backup, tmp_path / "data", tmp_path / "backup.tar")
    await asyncio.to_thread(restore_backup, made.path, tmp_path / "restored")

    assert secret not in made.path.read_bytes()
    assert not (tmp_path / "restored" / "tls").exists()


async def test_a_restored_conductor_has_its_runs_and_snapshots_and_another_id(tmp_path: Path) -> None:
    await fill(tmp_path / "data")

    made = await asyncio.to_thread(make_backup, tmp_path / "data", tmp_path / "backup.tar")
    restored = await asyncio.to_thread(restore_backup, tmp_path / "backup.tar", tmp_path / "new")

    assert (made.database.runs, made.database.unfinished_runs, made.snapshots) == (2, 1, 2)
    assert (restored.runs, restored.unfinished_runs) == (2, 1)
    snapshots = await SnapshotStore.open(tmp_path / "new" / SNAPSHOTS_FOLDER)
    async with await SqliteStore.open(tmp_path / "new") as store:
        assert (store.conductor_id, store.epoch) == (restored.conductor_id, 1)
        assert store.conductor_id != made.database.conductor_id
        for row in (await store.runs(RunFilter(), 10)).rows:
            files = await snapshots.read_files(row.plan.snapshot.commit, ["file"])
            assert files == {"file": f"content {int(row.run)}".encode()}


async def test_what_ran_when_the_backup_was_made_is_tried_again_as_another_attempt(tmp_path: Path) -> None:
    """Keeps rule 10: hosts do not know the restored conductor, so it can touch nothing that the original began."""
    (tmp_path / "original").mkdir()
    (tmp_path / "restored").mkdir()
    working, later = ExecutionHost([started(), said("so far")]), ExecutionHost([started(), said("again"), finished()])
    async with running_conductor(tmp_path / "original", hosts={"alpha": working}) as it:
        step = agent_step("talk")
        step.agent.max_attempts = 2
        run = await it.create(step)
        watching = it.runs.WatchRun(pb.WatchRunRequest(name=run.name))
        while not (await watching.read()).HasField("output"):
            pass
        watching.cancel()
        await asyncio.to_thread(make_backup, tmp_path / "original" / "data", tmp_path / "backup.tar")
    await asyncio.to_thread(restore_backup, tmp_path / "backup.tar", tmp_path / "restored" / "data")
    async with running_conductor(tmp_path / "restored", hosts={"alpha": later}) as it:
        told = await it.settled(run.name)
        attempts = (await it.runs.GetStep(pb.GetStepRequest(name=f"{run.name}/steps/talk"))).attempts

    assert told.state == pb.Run.STATE_SUCCEEDED
    assert [attempt.state for attempt in attempts] == [pb.Attempt.STATE_LOST, pb.Attempt.STATE_SUCCEEDED]
    assert len(working.spawned) == len(later.spawned) == 1
    assert working.executions[working.spawned[0]].cancels == []


def rewritten(source: Path, target: Path, changes: dict[str, bytes | None]) -> Path:
    """The backup with members replaced, or left out."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for name in MEMBERS:
            content = changes.get(name, old.extractfile(name).read())  # type: ignore[union-attr]
            if content is not None:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
    return target


@pytest.fixture
async def backup(tmp_path: Path) -> Path:
    await fill(tmp_path / "data")
    return (await asyncio.to_thread(make_backup, tmp_path / "data", tmp_path / "backup.tar")).path


def database_of(backup: Path) -> bytes:
    with tarfile.open(backup) as tar:
        return tar.extractfile("conductor.db").read()  # type: ignore[union-attr]


async def test_what_is_no_whole_backup_is_refused_and_leaves_nothing(backup: Path, tmp_path: Path) -> None:
    database = database_of(backup)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(backup.read_bytes()[: len(database) // 2])
    scribbled = tmp_path / "scribbled.tar"
    scribbled.write_bytes(b"scribbled" * 5000)
    newer = json.dumps({"format": 2}).encode()
    for number, (source, what) in enumerate(
        [
            (cut, "not a conductor's backup, or is incomplete"),
            (scribbled, "not a conductor's backup"),
            (rewritten(backup, tmp_path / "a.tar", {"snapshots.pack": None}), "not a conductor's backup"),
            (rewritten(backup, tmp_path / "b.tar", {"manifest.json": newer}), "made by a newer conductor"),
            (
                rewritten(backup, tmp_path / "c.tar", {"conductor.db": database[:8192]}),
                "database in the backup is damaged",
            ),
            (rewritten(backup, tmp_path / "d.tar", {"conductor.db": b"x" * 9000}), "database in the backup is damaged"),
            (tmp_path / "nothing.tar", "cannot be read: No such file"),
        ]
    ):
        target = tmp_path / f"target {number}"
        with pytest.raises(BackupError, match=what):
            await asyncio.to_thread(restore_backup, source, target)
        assert not target.exists()
        await asyncio.to_thread(restore_backup, backup, target)  # what failed is no obstacle


async def test_what_a_database_left_behind_is_not_taken_for_what_is_restored(backup: Path, tmp_path: Path) -> None:
    """I6: SQLite would play the log of the one that was moved away into the one that comes, and give it back its old id."""
    async with await SqliteStore.open(tmp_path / "data") as store:
        await store.append(creation(run_name(3)), 3.0)
        log = (tmp_path / "data" / "conductor.db-wal").read_bytes()
    target = tmp_path / "target"
    target.mkdir()
    (target / "conductor.db-wal").write_bytes(log)

    with pytest.raises(BackupError, match=r"holds conductor\.db-wal of an earlier database"):
        await asyncio.to_thread(restore_backup, backup, target)
    assert (target / "conductor.db-wal").read_bytes() == log


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(b'{"format": 1}', id="says not when it was made"),
        pytest.param(b'{"format": 1, "made": "\\u001b]0;title\\u0007"}', id="speaks to the terminal"),
        pytest.param(b"[" * 60_000, id="nested deeply"),
        pytest.param(b" " * 70_000, id="large"),
    ],
)
async def test_a_manifest_that_is_none_is_refused_before_anything_is_restored(
    backup: Path, tmp_path: Path, manifest: bytes
) -> None:
    """I6."""
    odd = rewritten(backup, tmp_path / "odd.tar", {"manifest.json": manifest})
    with pytest.raises(BackupError, match="is not a conductor's backup"):
        await asyncio.to_thread(restore_backup, odd, tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    "act",
    ["CREATE TRIGGER evil AFTER UPDATE ON meta BEGIN DELETE FROM runs; END", "DROP TABLE runs", "DELETE FROM meta"],
)
async def test_a_database_that_no_conductor_made_is_refused(backup: Path, tmp_path: Path, act: str) -> None:
    """I6: its version and its pages are in order, and it is none of ours all the same."""
    path = tmp_path / "odd.db"
    path.write_bytes(database_of(backup))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = DELETE").fetchall()
    connection.execute(act)
    connection.close()
    odd = rewritten(backup, tmp_path / "odd.tar", {"conductor.db": path.read_bytes()})

    with pytest.raises(BackupError, match="database in the backup is damaged"):
        await asyncio.to_thread(restore_backup, odd, tmp_path / "target")


async def test_what_was_restored_is_counted_in_the_database_itself(backup: Path, tmp_path: Path) -> None:
    """I6: the manifest is for people."""
    boast = {"format": 1, "made": "2026-01-02T03:04:05+00:00", "runs": 1_000_000, "unfinished_runs": "all"}
    odd = rewritten(backup, tmp_path / "odd.tar", {"manifest.json": json.dumps(boast).encode()})

    restored = await asyncio.to_thread(restore_backup, odd, tmp_path / "target")

    assert (restored.made, restored.runs, restored.unfinished_runs) == ("2026-01-02T03:04:05+00:00", 2, 1)


async def test_a_link_that_leads_nowhere_is_not_written_through(backup: Path, tmp_path: Path) -> None:
    """I6."""
    target, link = tmp_path / "target", tmp_path / "link.tar"
    target.mkdir()
    link.symlink_to(tmp_path / "nowhere")
    (target / "conductor.db").symlink_to(tmp_path / "nowhere")

    with pytest.raises(BackupError, match="exists already"):
        await asyncio.to_thread(make_backup, tmp_path / "data", link)
    with pytest.raises(BackupError, match="holds a database already"):
        await asyncio.to_thread(restore_backup, backup, target)


async def test_a_folder_that_was_there_stays_when_a_restoration_fails(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note").write_text("keep me")

    with pytest.raises(BackupError, match="No such file"):
        await asyncio.to_thread(restore_backup, tmp_path / "nothing.tar", tmp_path / "mine")

    assert (tmp_path / "mine" / "note").read_text() == "keep me"


async def test_a_backup_of_a_newer_database_is_refused_by_its_version(backup: Path, tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    path.write_bytes(database_of(backup))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    newer = rewritten(backup, tmp_path / "newer.tar", {"conductor.db": path.read_bytes()})

    with pytest.raises(DatabaseTooNewError, match="has version 99"):
        await asyncio.to_thread(restore_backup, newer, tmp_path / "target")


async def test_nothing_is_overwritten_and_no_conductor_at_work_is_restored_over(backup: Path, tmp_path: Path) -> None:
    before = backup.read_bytes()
    with pytest.raises(BackupError, match="exists already"):
        await asyncio.to_thread(make_backup, tmp_path / "data", backup)
    with pytest.raises(BackupError, match="holds a database already"):
        await asyncio.to_thread(restore_backup, backup, tmp_path / "data")
    async with await SqliteStore.open(tmp_path / "data"):
        with pytest.raises(DatabaseInUseError):
            await asyncio.to_thread(restore_backup, backup, tmp_path / "data")
    with pytest.raises(StorageError, match="there is no database"):
        await asyncio.to_thread(make_backup, tmp_path / "empty", tmp_path / "b.tar")

    assert backup.read_bytes() == before


async def test_of_two_backups_to_one_name_one_is_made_and_the_other_is_told(tmp_path: Path) -> None:
    await fill(tmp_path / "data")
    target = tmp_path / "backup.tar"

    both = (asyncio.to_thread(make_backup, tmp_path / "data", target) for _ in range(2))
    made = await asyncio.gather(*both, return_exceptions=True)

    (refused,) = [one for one in made if isinstance(one, BackupError)]
    assert str(refused).startswith(f"{target} exists")
    assert "give another name" in refused.hint
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    await asyncio.to_thread(restore_backup, target, tmp_path / "restored")
