"""A host that lacks descriptors for a moment takes that for what it is, and not for damage. Keeps D6, E7 and I5."""

import asyncio
import errno
import fcntl
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agenthost.api.messages import read_stored
from agenthost.attempt.folder import AttemptFolders, StoredStart, remembered_secrets
from agenthost.attempt.launch import Launch
from agenthost.attempt.process import AttemptProcess
from agenthost.attempt.records import read_damage, settle_damage
from agenthost.attempt.shim_start import start_shim
from agenthost.core.admission.order import WIDEST
from agenthost.core.damage import Damage, DamagedError, is_shortage
from agenthost.errors import NoCapacityError, PreconditionError, ProgramError, StorageError
from agenthost.host.adoption import adopt_leftovers
from agenthost.host.preparation import refusing_start
from tests.kit.attempts import Workbench, finish, until_longer
from tests.kit.processes import without_descriptors

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.EMFILE, True), (errno.ENFILE, True), (errno.ENOMEM, True), (errno.ENOENT, False), (errno.EIO, False)],
)
def test_only_what_a_process_lacks_is_a_shortage_also_behind_another_error(number: int, expected: bool) -> None:  # noqa: FBT001
    cause = OSError(number, "why")
    wrapped = ProgramError("git cannot start")
    wrapped.__cause__ = cause

    assert is_shortage(cause) == is_shortage(wrapped) == expected
    assert not is_shortage(DamagedError("spool: it ends too soon"))


async def test_an_attempt_that_is_attached_to_without_descriptors_is_known_once_there_are_some(
    bench: Workbench,
) -> None:
    async with await bench.spawn("sh", "-c", "echo hello; sleep 100") as first:
        assert await first.wait_started()
        await until_longer(first, 0)
        with without_descriptors():
            again = AttemptProcess.attach(bench.folder / "attempt0")
            assert (again.fault, again.has_ended, again.spool_size()) == ("", False, 0)
            with pytest.raises(OSError, match="open files"):
                again.read_spool(0, 100)
        async with again:
            assert await again.wait_started() is not None
            assert b"hello" in again.read_spool(0, 100)
            await again.cancel("enough")
            assert (await finish(first)).status.cause == "cancelled"
            await again.ended()

        assert again.fault == ""


async def test_a_confinement_is_waited_for_where_it_cannot_be_read_for_a_moment(bench: Workbench) -> None:
    async with await bench.spawn("sleep", "100") as attempt:
        assert await attempt.wait_started()
        with without_descriptors():
            waiting = asyncio.create_task(attempt.wait_started())
            await asyncio.sleep(0)
            assert not waiting.done()
        assert await waiting is not None
        assert attempt.fault == ""
        await attempt.cancel("enough")


@pytest.mark.parametrize("spare", range(5))
def test_a_shim_that_cannot_be_given_its_descriptors_says_so_and_leaves_none_open(spare: int, tmp_path: Path) -> None:
    """The fourth of them holds the snapshot: that was taken for a snapshot that is being evicted."""
    attempt, snapshot = tmp_path / "attempt", tmp_path / "snapshot"
    attempt.mkdir()
    snapshot.mkdir()
    launch = Launch(execution="look", argv=("true",), tree=snapshot, held=snapshot)
    before = len(list(Path("/proc/self/fd").iterdir()))

    with without_descriptors(spare), pytest.raises(OSError, match="open files") as short:
        start_shim(attempt, launch)

    assert is_shortage(short.value)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("number", "is_of_a_program", "expected"),
    [
        (errno.EMFILE, False, NoCapacityError),
        (errno.EAGAIN, True, NoCapacityError),
        (errno.ENOENT, True, ProgramError),
        (errno.ENOSPC, False, StorageError),
    ],
)
def test_a_start_for_which_something_runs_short_may_go_elsewhere(
    number: int,
    is_of_a_program: bool,  # noqa: FBT001
    expected: type[Exception],
    tmp_path: Path,
) -> None:
    error: Exception = OSError(number, os.strerror(number))
    if is_of_a_program:
        cause, error = error, ProgramError("cannot start the shim")
        error.__cause__ = cause

    with pytest.raises(expected), refusing_start(tmp_path):
        raise error


def test_a_snapshot_that_is_being_evicted_is_missing_for_a_shim(tmp_path: Path) -> None:
    (tmp_path / "attempt").mkdir()
    launch = Launch(execution="look", argv=("true",), tree=tmp_path, held=tmp_path)
    evicting = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(evicting, fcntl.LOCK_EX)

    with pytest.raises(PreconditionError) as refused:
        start_shim(tmp_path / "attempt", launch)
    os.close(evicting)

    assert refused.value.reason == "SNAPSHOT_MISSING"


class ShortAfterwards(AttemptFolders):
    """Folders that are looked through just before the last descriptor is taken."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        super().__init__(root)
        self._stack = stack

    def leftovers(self) -> list[tuple[Path, StoredStart | None]]:
        found = super().leftovers()
        self._stack.enter_context(without_descriptors())
        return found


async def test_what_cannot_be_looked_at_while_adopting_is_kept_for_the_next_start(tmp_path: Path) -> None:
    """Keeps what cannot be read: a folder that is taken for never begun is deleted, and a shim may live in it."""
    (tmp_path / "left").mkdir()
    no_supervisor: Any = None  # there is nothing to adopt
    await asyncio.to_thread(AttemptFolders(tmp_path).leftovers)  # a thread is there, with all that it imports
    with ExitStack() as stack, capture_logs() as logs:
        await adopt_leftovers(no_supervisor, ShortAfterwards(tmp_path, stack), partial(read_stored, limits=WIDEST))

    assert [(line["event"], line["folder"]) for line in logs] == [("folder_kept", str(tmp_path / "left"))]
    assert (tmp_path / "left").is_dir()
    await adopt_leftovers(no_supervisor, AttemptFolders(tmp_path), partial(read_stored, limits=WIDEST))
    assert not (tmp_path / "left").exists()


def test_what_a_folder_holds_is_not_taken_for_damaged_or_for_nothing_without_descriptors(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('["hidden"]')
    found = settle_damage(tmp_path, Damage("spool: it ends too soon", 7, 1))

    with without_descriptors():
        with pytest.raises(OSError, match="open files"):
            remembered_secrets(tmp_path, ())
        with pytest.raises(OSError, match="open files"):
            read_damage(tmp_path)

    assert remembered_secrets(tmp_path, ()) == ("hidden",)
    assert read_damage(tmp_path) == found
