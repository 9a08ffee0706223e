"""WorkspaceService.PushWorkspace over a real connection, and runs of what was pushed. Keeps J5."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from conductor.api import workspace_servicer
from conductor.api.launching.workspaces import Workspaces
from conductor.errors import NotFoundError
from conductor.snapshots import SnapshotStore
from conductor.snapshots.pushed.caller_store import Offer
from conductor.snapshots.pushed.limits import MAX_CHUNK_BYTES
from conductor.snapshots.pushed.store import PushedSnapshots
from conductor.snapshots.roots import WorkspaceRoots
from conductor.v1 import run_service_pb2 as run_pb
from conductor.v1 import workspace_service_pb2 as pb
from conductor.v1 import workspace_service_pb2_grpc
from servicekit.calls.callers import Caller, set_caller
from tests.conductor.running_conductor import Running, agent_step, refusal, running_conductor
from tests.fakes.execution_host import ExecutionHost, finished, said, started
from tests.kit.packs import history_pack
from tests.kit.repositories import UserRepository
from tests.kit.waiting import until

pytestmark = pytest.mark.processes

UNKNOWN = "c0ffee" * 6 + "abcd"


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_conductor(tmp_path) as running:
        yield running


@pytest.fixture
def user(tmp_path: Path) -> UserRepository:
    return UserRepository.make(tmp_path / "project")


def offer_of(user: UserRepository, **fields: Any) -> pb.PushWorkspaceRequest:
    head = user.head
    offer = pb.SnapshotOffer(snapshot=head, commits=user.git("rev-list", "HEAD").split(), **fields)
    return pb.PushWorkspaceRequest(offer=offer)


def pack_of(data: bytes) -> pb.PushWorkspaceRequest:
    return pb.PushWorkspaceRequest(pack=pb.PackOffer(digest=hashlib.sha256(data).hexdigest(), byte_count=len(data)))


def chunks_of(data: bytes, size: int = 10_000) -> Iterator[pb.PushWorkspaceRequest]:
    for start in range(0, len(data), size):
        yield pb.PushWorkspaceRequest(chunk=data[start : start + size])


def call_of(it: Running) -> Any:
    return workspace_service_pb2_grpc.WorkspaceServiceStub(it.channel).PushWorkspace(timeout=30)


async def say(call: Any, *requests: pb.PushWorkspaceRequest) -> None:
    for request in requests:
        await call.write(request)


async def positioned(it: Running, user: UserRepository, data: bytes) -> tuple[Any, int]:
    """Returns a call that waits for chunks, and where they begin."""
    call = call_of(it)
    await say(call, offer_of(user))
    assert (await call.read()).WhichOneof("part") == "missing"
    await say(call, pack_of(data))
    return call, (await call.read()).position.received_bytes


async def pushed(it: Running, user: UserRepository, data: bytes) -> pb.PushedSnapshot:
    call, start = await positioned(it, user, data)
    await say(call, *chunks_of(data[start:]))
    end: pb.PushedSnapshot = (await call.read()).pushed
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    return end


def request_of(snapshot: str, **fields: Any) -> run_pb.CreateRunRequest:
    flow = run_pb.CreateRunRequest().inline
    flow.name = "flows/test"
    flow.steps.append(agent_step("look"))
    return run_pb.CreateRunRequest(inline=flow, workspace=run_pb.Workspace(snapshot=snapshot, **fields))


async def test_a_pushed_snapshot_makes_a_run_and_is_not_sent_twice(it: Running, user: UserRepository) -> None:
    data = history_pack(user, user.head)
    end = await pushed(it, user, data)
    run = await it.runs.CreateRun(request_of(user.head, path="/home/anna/project"))
    planned = await it.runs.PlanRun(run_pb.PlanRunRequest(run=request_of(user.head)))
    again = call_of(it)
    await say(again, offer_of(user))
    answer = (await again.read()).pushed

    assert (end.snapshot, end.file_count, end.received_bytes) == (user.head, 2, len(data))
    assert run.snapshot.commit == planned.run.snapshot.commit == user.head
    assert (run.workspace.snapshot, run.workspace.path) == (user.head, "/home/anna/project")
    assert (answer.snapshot, answer.received_bytes) == (user.head, 0)
    assert end.expire_time.seconds - run.create_time.seconds > 6 * 86_400


async def test_a_scope_is_compared_by_the_conductor_with_a_base_that_was_pushed(
    it: Running, user: UserRepository
) -> None:
    base = user.head
    user.write("src/app.py", "print('changed')\n")
    user.write("CRLF.txt", "x\n")
    user.commit("changed")
    await pushed(it, user, history_pack(user, user.head))
    scope = run_pb.Workspace.SCOPE_DIFF
    run = await it.runs.CreateRun(request_of(user.head, scope=scope, base_revision=base, paths=["src"]))
    new = await it.runs.CreateRun(
        request_of(user.head, scope=scope, base_revision="4b825dc642cb6eb9a060e54bf8d69288fbee4904")
    )
    refused = [
        await refusal(it.runs.CreateRun(request_of(user.head, scope=scope, base_revision=revision)))
        for revision in ("main", UNKNOWN)
    ]

    assert [file.path for file in run.snapshot.changed] == ["src/app.py"]
    assert run.snapshot.base_commit == base
    assert new.snapshot.changed_count == 3
    assert {told.violations[0][0] for told in refused} == {"workspace.base_revision"}


async def test_an_admin_names_the_snapshot_of_a_run(it: Running, user: UserRepository) -> None:
    first = user.head
    user.write("new.txt", "new\n")
    path = str(user.folder)
    flow = request_of(UNKNOWN).inline
    run = await it.runs.CreateRun(run_pb.CreateRunRequest(inline=flow, workspace=run_pb.Workspace(path=path)))
    scope = run_pb.Workspace.SCOPE_DIFF
    again = await it.runs.CreateRun(request_of(run.snapshot.commit, scope=scope, base_revision=first))
    told = await refusal(it.runs.CreateRun(request_of(run.snapshot.commit, scope=scope, base_revision="main")))
    in_history = await refusal(it.runs.CreateRun(request_of(first)))

    assert again.snapshot.commit == run.snapshot.commit
    assert [file.path for file in again.snapshot.changed] == ["new.txt"]
    assert told.violations[0][0] == "workspace.base_revision"
    assert in_history.reason == "SNAPSHOT_NOT_FOUND"


async def test_a_snapshot_that_was_not_pushed_is_not_found(it: Running) -> None:
    for asked in (
        it.runs.CreateRun(request_of(UNKNOWN)),
        it.runs.PlanRun(run_pb.PlanRunRequest(run=request_of(UNKNOWN))),
    ):
        told = await refusal(asked)
        assert (told.code, told.reason) == ("NOT_FOUND", "SNAPSHOT_NOT_FOUND")
    told = await refusal(it.runs.CreateRun(request_of("HEAD")))

    assert told.violations[0][0] == "workspace.snapshot"


async def test_a_caller_names_its_own_snapshots_and_an_admin_those_of_all(tmp_path: Path, user: UserRepository) -> None:
    pushed = PushedSnapshots(tmp_path / "pushed")
    data = history_pack(user, user.head)
    anna = await pushed.of("certificate:anna")
    async with anna.receiving(hashlib.sha256(data).hexdigest(), len(data)) as partial:
        partial.write(data)
        await anna.land(Offer(user.head), partial)
    no_fetching: Any = None
    snapshots = await SnapshotStore.open(tmp_path / "snapshots")
    workspaces = Workspaces(snapshots, pushed, no_fetching, WorkspaceRoots(), 4)

    async def pin(caller: Caller, **fields: Any) -> str:
        set_caller(caller)
        workspace = run_pb.Workspace(snapshot=user.head, **fields)
        return (await workspaces.pin(await workspaces.locate(workspace))).plan.commit

    for caller in (Caller("anna", "certificate", "operator"), Caller("root", "token", "admin")):
        assert await pin(caller) == user.head
    for stranger in (Caller("ben", "certificate", "operator"), Caller("anna", "token", "operator")):
        with pytest.raises(NotFoundError):
            await pin(stranger)
        with pytest.raises(NotFoundError):
            await pin(stranger, scope=run_pb.Workspace.SCOPE_DIFF, base_revision=user.head)


async def test_a_cut_push_goes_on_where_it_ended_also_after_a_restart(tmp_path: Path, user: UserRepository) -> None:
    user.write("noise", bytes(range(256)) * 2000)
    user.commit("noise")
    data = history_pack(user, user.head)
    half = len(data) // 2
    async with running_conductor(tmp_path) as it:
        call, start = await positioned(it, user, data)
        assert start == 0
        await say(call, *chunks_of(data[:half], 100))
        incoming = tmp_path / "data" / "pushed"
        await until(lambda: sum(path.stat().st_size for path in incoming.rglob("incoming/*.pack")) == half)
        call.cancel()
    async with running_conductor(tmp_path) as it:
        call, start = await positioned(it, user, data)
        await say(call, *chunks_of(data[start:], 100))
        end = (await call.read()).pushed

    assert (start, end.received_bytes) == (half, len(data) - half)


async def test_a_newer_call_with_the_same_pack_takes_over(it: Running, user: UserRepository) -> None:
    data = history_pack(user, user.head)
    old, _ = await positioned(it, user, data)
    await say(old, *chunks_of(data[:100]))
    end = await pushed(it, user, data)
    told = await refusal(old.read())

    assert end.snapshot == user.head
    assert (told.code, told.reason) == ("ABORTED", "PUSH_SUPERSEDED")


async def test_one_caller_pushes_two_snapshots_at_once_and_no_third(it: Running, user: UserRepository) -> None:
    data = history_pack(user, user.head)
    held = [await positioned(it, user, other) for other in (data, data + b"1")]
    call = call_of(it)
    await say(call, offer_of(user))
    await call.read()
    await say(call, pack_of(data + b"2"))
    told = await refusal(call.read())
    for other, _ in held:
        other.cancel()

    assert (told.code, told.reason) == ("RESOURCE_EXHAUSTED", "NO_CAPACITY")
    assert "2 snapshots" in told.message
    await until_free(it, user, data)


async def test_a_caller_offers_a_few_snapshots_at_once_and_no_more(
    it: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_servicer, "MAX_CALLS_OF_CALLER", 1)
    held = call_of(it)
    await say(held, pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot=UNKNOWN)))
    await held.read()
    told = await refusal(call_of(it).read())
    held.cancel()

    assert (told.code, told.reason) == ("RESOURCE_EXHAUSTED", "NO_CAPACITY")


async def until_free(it: Running, user: UserRepository, data: bytes) -> None:
    """Pushes as soon as the places of cancelled calls are free."""
    async with asyncio.timeout(5):
        while True:
            try:
                await pushed(it, user, data)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
            else:
                return


WRONG: dict[str, tuple[pb.PushWorkspaceRequest, ...]] = {
    "a chunk first": (pb.PushWorkspaceRequest(chunk=b"x"),),
    "nothing in it": (pb.PushWorkspaceRequest(),),
    "no id": (pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot="HEAD")),),
    "a path for an id": (pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot="../" + UNKNOWN[3:])),),
    "an option for a commit": (pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot=UNKNOWN, commits=["--all"])),),
    "a line in a shallow commit": (
        pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot=UNKNOWN, shallow=[UNKNOWN + "\n"])),
    ),
    "too many commits": (pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot=UNKNOWN, commits=[UNKNOWN] * 5001)),),
    "too long a note": (
        pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot=UNKNOWN, origin=pb.SnapshotOrigin(notes=["n" * 2001]))),
    ),
    "too much to show": (
        pb.PushWorkspaceRequest(
            offer=pb.SnapshotOffer(snapshot=UNKNOWN, origin=pb.SnapshotOrigin(notes=["n" * 2000] * 40))
        ),
    ),
    "an offer again": (pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot=UNKNOWN)),) * 2,
    "no digest": (
        pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot=UNKNOWN)),
        pb.PushWorkspaceRequest(pack=pb.PackOffer(digest="../../x", byte_count=1)),
    ),
    "no length": (
        pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot=UNKNOWN)),
        pb.PushWorkspaceRequest(pack=pb.PackOffer(digest="a" * 64, byte_count=-1)),
    ),
    "too large a pack": (
        pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot=UNKNOWN)),
        pb.PushWorkspaceRequest(pack=pb.PackOffer(digest="a" * 64, byte_count=2**40)),
    ),
    "too large a chunk": (
        pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot=UNKNOWN)),
        pb.PushWorkspaceRequest(pack=pb.PackOffer(digest="a" * 64, byte_count=2**22)),
        pb.PushWorkspaceRequest(chunk=bytes(MAX_CHUNK_BYTES + 1)),
    ),
    "an empty chunk": (
        pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot=UNKNOWN)),
        pb.PushWorkspaceRequest(pack=pb.PackOffer(digest="a" * 64, byte_count=10)),
        pb.PushWorkspaceRequest(chunk=b""),
    ),
    "a pack that ends early": (
        pb.PushWorkspaceRequest(offer=pb.SnapshotOffer(snapshot=UNKNOWN)),
        pb.PushWorkspaceRequest(pack=pb.PackOffer(digest="a" * 64, byte_count=10)),
        pb.PushWorkspaceRequest(chunk=b"x"),
    ),
}


async def test_what_is_not_a_push_is_refused_and_told_by_its_field(it: Running) -> None:
    for name, requests in WRONG.items():
        call = call_of(it)
        await say(call, *requests)
        await call.done_writing()
        told = await refusal(call)
        assert (told.code, told.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST"), (name, told)
        assert told.violations, name


async def test_a_run_of_a_pushed_workspace_looks_at_no_path_of_the_conductor(
    tmp_path: Path, user: UserRepository
) -> None:
    """The path is one of the caller's machine: another folder may lie there on the conductor's."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "private.txt").write_text("x")
    async with running_conductor(
        tmp_path, hosts={"alpha": ExecutionHost([started(), said("done"), finished()])}, roots=(tmp_path / "project",)
    ) as it:
        await pushed(it, user, history_pack(user, user.head))
        run = await it.runs.CreateRun(request_of(user.head, path=str(tmp_path / "elsewhere")))
        end = await it.settled(run.name)

    assert end.state == run_pb.Run.STATE_SUCCEEDED
    assert not end.HasField("workspace_changes")
