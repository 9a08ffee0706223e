"""A host whose disk fills up (architecture.md, rule 16): room is promised before it is needed, and an end can always be told."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agenthost.attempt.cuts import LARGE_CUT_BYTES, Cuts
from agenthost.core.admission.admission import OWN_BYTES
from agenthost.core.output.numbering import Cut
from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.running_host import Client, execution_id, folder_of, open_host
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

MIB = 2**20


@pytest.fixture
def small_disk(short_path: Path) -> Iterator[Path]:
    """A folder whose `data` lies on a file system of 64 MiB."""
    if os.getuid() != 0:
        pytest.skip("only root may mount a small file system to fill")
    (short_path / "data").mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(short_path / "data")]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    yield short_path
    subprocess.run(["umount", "--lazy", str(short_path / "data")], check=True)


def fill(data: Path) -> Path:
    """Takes what is free, to the last page."""
    filler = data / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(MIB)):
                pass
        except OSError:
            pass
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    return filler


async def test_a_disk_that_fills_ends_the_writer_with_a_reason_and_no_other(small_disk: Path, repository: Path) -> None:
    """Keeps I4: "disk full: named, contained, reported; nothing else suffers"."""
    cap = {"max_output_bytes": 16 * MIB}
    async with open_host(small_disk, repository, slots=4) as client:
        writer = client.start_of("say partial", "echo-input 1", "fill 500000", step="writer", **cap)
        quiet = client.start_of("say quiet", "echo-input 1", step="quiet", **cap)
        async with client.open(start=writer) as first, client.open(start=quiet) as other:
            await first.until_said("partial")
            await other.until_said("quiet")
            filler = fill(client.data)
            await first.send(input=pb.Input(input_sequence=1, text="write now"))
            told = await first.until(lambda frame: frame.HasField("finished"))
            listed = await client.executions.ListExecutions(
                pb.ListExecutionsRequest(conductor_id="conductor-1", epoch=1)
            )
            refused = await client.refused(client.start_of("say more", step="third", **cap))
            filler.unlink()
            await first.finish_with(told)
            await other.send(input=pb.Input(input_sequence=1, text="go on"))
            finished = await other.finish()
        _, after = await client.run("say fine", step="fourth", **cap)

    assert (told.finished.outcome, told.finished.reason) == (pb.Finished.OUTCOME_FAILED, "HOST_DISK_FULL")
    assert first.said("answer").startswith("partial\n")
    assert len(listed.executions) == 2
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "NO_CAPACITY")
    assert other.said("answer") == "quiet\ninput: go on\n"
    assert {finished.outcome, after.outcome} == {pb.Finished.OUTCOME_SUCCEEDED}


async def test_the_cuts_of_a_whole_output_fit_once_their_room_was_taken(small_disk: Path) -> None:
    """An end cannot be told without its cut: small cuts are done without when the disk is full, large ones never need to be."""
    cuts = Cuts(small_disk / "data" / "cuts", 64 * LARGE_CUT_BYTES)
    small = 0
    assert cuts.has_room()
    fill(small_disk / "data")
    while cuts.has_room():
        cuts.append(Cut(small, 0, small, final=False))
        small += 1
    for number in range(64 + 1):
        cuts.append(Cut(number, 0, number, final=number == 64))

    assert small > 100
    assert len(list(cuts.read())) == small + 64 + 1


async def test_output_that_was_promised_to_others_is_not_promised_again(small_disk: Path, repository: Path) -> None:
    async with open_host(small_disk, repository, slots=4) as client:
        free = os.statvfs(client.data).f_bavail * 4096 - OWN_BYTES
        first = client.start_of("say one", "hang", step="first", max_output_bytes=free // 3 * 2)
        async with client.open(start=first) as conversation:
            await conversation.until_said("one")
            refused = await client.refused(client.start_of("say x", step="second", max_output_bytes=free // 2))
            _, finished = await client.run("say x", step="third", max_output_bytes=free // 4)
            await conversation.send(cancel=pb.Cancel())
            await conversation.finish()
        _, alone = await client.run("say x", step="fourth", max_output_bytes=free // 2)

    assert refused.reason == "NO_CAPACITY"
    assert "are promised to running attempts" in refused.message
    assert {finished.outcome, alone.outcome} == {pb.Finished.OUTCOME_SUCCEEDED}


async def test_unacknowledged_ends_give_way_to_newer_ones(short_path: Path, repository: Path) -> None:
    """Keeps architecture rule 9: bounded by size, told in the log, and the id stays spent."""
    async with open_host(short_path, repository, unheard_bytes=300_000) as client:
        for step in ("first", "second", "third"):
            await unheard(client, step)
        first = folder_of(client.data, execution_id("first"))
        await until(lambda: not first.exists())
        again = await client.refused(client.start_of("fill 200000", step="first"))
        async with client.open(resume=pb.Resume(execution=execution_id("third"))) as newest:
            await newest.finish()

    assert again.reason == "EXECUTION_EXISTS"
    assert len(newest.said("answer")) == 200_000


async def unheard(client: Client, step: str) -> None:
    async with client.open(start=client.start_of("fill 200000", step=step)) as conversation:
        await conversation.until(lambda frame: frame.HasField("finished"))
