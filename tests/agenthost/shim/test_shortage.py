"""A host that lacks descriptors for a moment takes that for what it is, and not for damage. Keeps D6, E7 and I5."""

import asyncio
import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agenthost.attempt_folder import remembered_secrets
from agenthost.attempt_process import AttemptProcess
from agenthost.core.damage import Damage, DamagedError, is_shortage
from agenthost.damage import read_damage, settle_damage
from agenthost.errors import ProgramError
from tests.attempts import Workbench, finish, until_longer


@contextmanager
def without_descriptors() -> Iterator[None]:
    """Nothing can be opened in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


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
