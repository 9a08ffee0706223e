"""The conductor's disk fills up under a service at work, and gets room again: nothing is lost, and nothing is restarted.

Keeps rules 6 and 16. It needs a small file system of its own, which only root may mount.
"""

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conductor.errors import StorageError
from conductor.lease.holder import read_holder
from conductor.store.sqlite.folder import DATABASE_NAME, LockedFolder
from conductor.store.sqlite.store import SqliteStore
from conductor.v1 import run_service_pb2 as pb
from conductor.v1.flow_service_pb2 import Flow
from conductor.v1.run_service_pb2 import Run
from servicekit.statuses import Refusal
from tests.conductor.running_conductor import Running, agent_step, refusal, running_conductor
from tests.conductor.store.material import damages
from tests.conductor.test_standby import end_talk, paired, talking, until_active
from tests.fakes.execution_host import ExecutionHost, finished, said, started
from tests.kit.repositories import git
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

ROOM = 6 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=700", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(disk: Path, size: int) -> None:
    """Makes the disk larger or smaller; never smaller than what is taken."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def fill(ballast: Path) -> None:
    """Takes every byte that is left."""
    with ballast.open("ab", buffering=0) as file:
        for size in (65_536, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


async def test_a_full_disk_stops_what_must_be_stored_and_nothing_else_until_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    (tmp_path / "data").symlink_to(small_disk)
    ballast = small_disk / "ballast"
    host = ExecutionHost([started(), said("before")])
    async with running_conductor(tmp_path, hosts={"alpha": host}) as it:
        run = await it.create(agent_step("talk"))
        await until(lambda: bool(host.executions))
        execution = next(iter(host.executions.values()))
        await until(lambda: execution.acknowledged >= 2)
        fill(ballast)
        # More than the room that SQLite's log has inside of itself: sooner or later a commit fails.
        text = "x" * 100_000
        execution.tell(*(said(text) for _ in range(100)))
        refused = await until_refused(it)
        heard, spawned = execution.acknowledged, len(host.spawned)
        shown = await it.runs.GetRun(pb.GetRunRequest(name=run.name))
        listed = (await it.runs.ListRuns(pb.ListRunsRequest())).runs
        watching = it.runs.WatchRun(pb.WatchRunRequest(name=run.name))
        first = await watching.read()
        watching.cancel()
        ballast.unlink()
        resize(small_disk, 16 * ROOM)
        execution.tell(finished())
        ended = await it.settled(run.name)
        after = await it.create(agent_step("more"))
        told = [message.output.text async for message in it.runs.WatchRun(pb.WatchRunRequest(name=run.name))]

    assert (refused.code, refused.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
    assert "full" in refused.message
    assert heard < 102  # nothing is acknowledged that is not stored
    assert spawned == 1
    assert shown.state == listed[0].state == Run.STATE_RUNNING
    assert first.run.name == run.name
    assert ended.state == Run.STATE_SUCCEEDED
    assert "".join(told) == "before" + 100 * text
    assert after.name != run.name
    assert damages(small_disk) == []


@pytest.mark.long
@pytest.mark.parametrize("with_git", [True, False])
async def test_a_snapshot_without_room_is_refused_with_what_helps_and_leaves_nothing_behind(
    tmp_path: Path, small_disk: Path, *, with_git: bool
) -> None:
    (tmp_path / "data").symlink_to(small_disk)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    large = workspace / "large"
    large.write_bytes(os.urandom(2 * ROOM))
    if with_git:  # then git copies it, and where there is none, it is imported
        for arguments in (("init", "-q"), ("add", "large"), ("commit", "-q", "-m", "large")):
            git(workspace, *arguments)
    async with running_conductor(tmp_path) as it:
        before = files_of_git(small_disk)
        request = pb.CreateRunRequest(workspace=pb.Workspace(path=str(workspace)))
        request.inline.CopyFrom(Flow(steps=[agent_step("one")]))
        refused = [await refusal(it.runs.CreateRun(request)) for _ in range(2)]
        after = files_of_git(small_disk)
        resize(small_disk, 16 * ROOM)
        created = await it.runs.CreateRun(request)

    assert {(told.code, told.reason, told.kind) for told in refused} == {
        ("RESOURCE_EXHAUSTED", "NO_CAPACITY", "RECOVERABLE")
    }
    assert "disk of the conductor's data folder is full" in refused[0].message
    assert "free space" in refused[0].hint
    assert after == before
    assert created.snapshot.commit


async def test_a_database_is_not_rewritten_where_that_would_take_the_last_room(small_disk: Path) -> None:
    async with await SqliteStore.open(small_disk):
        resize(small_disk, 4 * ROOM)
    connection = sqlite3.connect(small_disk / DATABASE_NAME)
    connection.executescript(
        f"PRAGMA auto_vacuum = 0; VACUUM; CREATE TABLE ballast AS SELECT zeroblob({ROOM * 2 // 3}) AS room;"
    )
    connection.close()
    resize(small_disk, ROOM)
    log = small_disk / f"{DATABASE_NAME}-wal"

    async with await SqliteStore.open(small_disk):
        taken = log.stat().st_size
    resize(small_disk, 4 * ROOM)
    async with await SqliteStore.open(small_disk):
        pass

    assert taken < ROOM // 16
    connection = sqlite3.connect(small_disk / DATABASE_NAME)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()


def files_of_git(data: Path) -> set[Path]:
    """Returns the files in the store of snapshots, but for the list of commits whose parents are not there."""
    return {path for path in (data / "snapshots").rglob("*") if path.is_file() and path.name != "shallow"}


async def until_refused(it: Running) -> Refusal:
    """Asks for runs to be cancelled that there are not, a mutation that changes nothing, until storing is what fails."""
    async with asyncio.timeout(20):
        while True:
            told = await refusal(it.runs.CancelRun(pb.CancelRunRequest(name=f"runs/{'0' * 26}")))
            if told.reason != "RUN_NOT_FOUND":
                return told


@pytest.mark.long
async def test_a_standby_with_a_full_disk_takes_over_and_loses_no_agent(
    tmp_path: Path, small_disk: Path, database: str
) -> None:
    """Keeps K15: what is at work goes on, and only what needs room is refused until there is some."""
    (tmp_path / "b").symlink_to(small_disk)
    async with paired(tmp_path, database) as pair:
        active, standby, run = await talking(pair)
        fill(small_disk / "ballast")
        watching = [asyncio.create_task(standby.watch(run))]
        active.stop.set()
        await until_active(standby)
        (pair.workspace / "large").write_bytes(os.urandom(ROOM))
        refused = await refusal(standby.create(agent_step("more")))
        await standby.runs.PauseRun(pb.PauseRunRequest(name=run))
        await standby.runs.ResumeRun(pb.ResumeRunRequest(name=run))
        await end_talk(pair, watching)
        (small_disk / "ballast").unlink()
        resize(small_disk, 16 * ROOM)
        await until_active(standby)  # on a busy machine its lease may have run out meanwhile
        await standby.create(agent_step("more"))

    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "NO_CAPACITY")
    assert "disk of the conductor's data folder is full" in refused.message


def test_a_start_without_room_says_which_folder_needs_some(small_disk: Path) -> None:
    fill(small_disk / "ballast")
    folder = small_disk / "data"
    held = LockedFolder.acquire(folder)

    with pytest.raises(StorageError, match=f"the data folder {folder} cannot be used: No space left"):
        read_holder(folder, "boot")
    held.release()
