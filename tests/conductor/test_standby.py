"""Two conductors of one store, in this process: one leads, and the other serves reads and takes over. Keeps K15.

On a store in memory, which can be cut from one conductor alone, and on a real PostgreSQL.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest

from conductor.app import serving
from conductor.cli.main import main
from conductor.config import HostSetting, Limits, Settings
from conductor.store.postgresql.sharing.store import SharedPostgresqlStore
from conductor.store.shared import SharedStore
from conductor.v1 import access_service_pb2 as access_pb
from conductor.v1 import pool_service_pb2 as pool_pb
from conductor.v1 import run_service_pb2 as pb
from conductor.v1 import server_service_pb2 as server_pb
from servicekit.addresses import Address
from servicekit.channels import open_channel
from tests.conductor.running_conductor import Running, agent_step, plain, refusal
from tests.fakes.agent_host import HostTeller, agent_host
from tests.fakes.execution_host import ExecutionHost, finished, said, started
from tests.fakes.shared_memory import SharedMemory, SharedMemoryStore
from tests.kit.worker import WorkerInProcess

pytestmark = pytest.mark.processes
LEASE_SECONDS = 1


class Pair:
    """Conductors of one store, by name, and the host below them."""

    def __init__(self, folder: Path, host: ExecutionHost, address: str, stack: AsyncExitStack, url: str = "") -> None:
        self.folder = folder
        self.url = url
        self.host = host
        self.shared = SharedMemory()
        self.stores: dict[str, SharedMemoryStore] = {}
        self._address = address
        self._stack = stack
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        (self.workspace / "a.txt").write_text("one\n")

    async def start(self, name: str) -> Running:
        if self.url:
            store: SharedStore = await SharedPostgresqlStore.open_shared(self.url)
        else:
            store = self.stores[name] = SharedMemoryStore(self.shared)
        settings = Settings(
            listen=Address.parse(f"unix:{self.folder}/{name}.sock"),
            data=self.folder / name,
            hosts=(HostSetting("alpha", self._address),),
            limits=Limits(stop_seconds=1, lease_seconds=LEASE_SECONDS),
        )

        async def open_store(_: Settings) -> SharedStore:
            return store

        conductor = await self._stack.enter_async_context(serving(settings, WorkerInProcess, open_store))
        stop = asyncio.Event()
        serves = asyncio.create_task(conductor.serve(stop))
        self._stack.push_async_callback(asyncio.wait, {serves})
        self._stack.callback(stop.set)
        channel = await self._stack.enter_async_context(open_channel(settings.listen.target))
        await channel.channel_ready()
        return Running(settings.listen.target, channel, {"alpha": self.host}, {}, self.workspace, stop, serves)


@asynccontextmanager
async def paired(folder: Path, url: str = "") -> AsyncIterator[Pair]:
    host = ExecutionHost()
    async with AsyncExitStack() as stack:
        teller = HostTeller("alpha", "scripted")
        address = await stack.enter_async_context(agent_host(folder, "alpha", host, teller))
        yield Pair(folder, host, address, stack, url)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with paired(tmp_path) as it:
        yield it


@pytest.fixture
async def real(database: str, tmp_path: Path) -> AsyncIterator[Pair]:
    async with paired(tmp_path, database) as it:
        yield it


async def role(it: Running) -> str:
    return str((await it.server.GetServerInfo(server_pb.GetServerInfoRequest())).role)


async def until_active(it: Running, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while await role(it) != "active":
            await asyncio.sleep(0.02)


async def test_a_standby_serves_reads_and_names_the_active_conductor(real: Pair) -> None:
    active = await real.start("a")
    await until_active(active)
    standby = await real.start("b")
    run = await active.create(agent_step("one"))

    info = await standby.server.GetServerInfo(server_pb.GetServerInfoRequest())
    assert (info.role, info.store, info.active_address) == ("standby", "postgresql", active.target)
    assert (await standby.runs.GetRun(pb.GetRunRequest(name=run.name))).name == run.name
    told = await refusal(standby.runs.CancelRun(pb.CancelRunRequest(name=run.name)))
    assert (told.code, told.reason, dict(told.metadata)["address"]) == ("UNAVAILABLE", "NOT_ACTIVE", active.target)

    async def ready() -> bool:
        hosts = (await standby.pool.ListHosts(pool_pb.ListHostsRequest())).hosts
        return [(host.name, host.state) for host in hosts] == [("hosts/alpha", pool_pb.Host.STATE_READY)]

    async with asyncio.timeout(5):  # as the active one keeps it, once a second
        while not await ready():
            await asyncio.sleep(0.05)
    while not (await standby.server.GetServerInfo(server_pb.GetServerInfoRequest())).unfinished_runs:
        await asyncio.sleep(0.05)


async def talking(pair: Pair) -> tuple[Running, Running, str]:
    """Two conductors, and a run of the active one whose agent has begun to talk."""
    pair.host.script = (started(), said("one "))
    active = await pair.start("a")
    await until_active(active)
    standby = await pair.start("b")
    run = await active.create(agent_step("s"))
    await active.until_said(run.name)
    return active, standby, run.name


async def end_talk(pair: Pair, watching: list[asyncio.Task[list[pb.WatchRunResponse]]]) -> list[pb.WatchRunResponse]:
    """Lets the agent end; returns the history that every watcher saw, once it is judged."""
    (execution,) = pair.host.executions.values()
    execution.tell(said("two "), said("three"), finished())
    seen = [await asyncio.wait_for(one, 10) for one in watching]
    assert all(plain(one) == plain(seen[0]) for one in seen)
    history = [message for message in seen[0] if not message.HasField("progress")]
    assert [message.sequence for message in history] == list(range(1, history[-1].sequence + 1))
    assert "".join(message.output.text for message in history) == "one two three"
    assert history[-1].run.state == pb.Run.STATE_SUCCEEDED
    assert len(pair.host.spawned) == 1
    return history


async def test_a_hand_over_takes_less_than_two_seconds_and_touches_no_agent(real: Pair) -> None:
    """Watchers of both stay connected, and see the same."""
    active, standby, run = await talking(real)
    watching = [asyncio.create_task(one.watch(run)) for one in (active, standby)]
    await asyncio.sleep(0.1)

    begun = time.monotonic()
    info = await active.server.HandOver(server_pb.HandOverRequest())
    await until_active(standby)
    took = time.monotonic() - begun

    assert took < 2.0
    assert info.role == "standby"
    assert (await refusal(active.runs.PauseRun(pb.PauseRunRequest(name=run)))).reason == "NOT_ACTIVE"
    await end_talk(real, watching)
    (execution,) = real.host.executions.values()
    assert execution.cancels == []
    assert real.host.epoch == 2
    assert (await refusal(standby.runs.CancelRun(pb.CancelRunRequest(name=run)))).reason == "RUN_NOT_RUNNING"


@pytest.mark.long
async def test_the_command_handover_says_who_is_active_now(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    """It asks the active one, with the addresses in any order."""
    active = await pair.start("a")
    await until_active(active)
    standby = await pair.start("b")
    both = f"{standby.target},{active.target}"

    assert await asyncio.to_thread(main, ["--address", both, "handover"]) == 0
    told = f"✔ {standby.target} is the active conductor now; {active.target} is a standby\n"
    assert told in capsys.readouterr().out
    await asyncio.to_thread(main, ["--address", both, "doctor"])
    doctor = capsys.readouterr().out
    assert f"s behind; the active one is at {standby.target}\n" in doctor
    assert f"at {standby.target}: active in its PostgreSQL database, epoch 2" in doctor


@pytest.mark.long
async def test_a_token_that_the_active_conductor_made_and_revoked_counts_on_the_standby(pair: Pair) -> None:
    """Keeps K12 and K15."""
    active = await pair.start("a")
    await until_active(active)
    standby = await pair.start("b")
    made = await active.access.CreateToken(access_pb.CreateTokenRequest(name="ci", role=access_pb.ROLE_VIEWER))
    bearer = {"metadata": (("authorization", f"Bearer {made.secret}"),)}

    async def is_known() -> bool:
        try:
            await standby.server.GetServerInfo(server_pb.GetServerInfoRequest(), **bearer)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
            return False
        return True

    async with asyncio.timeout(5):
        while not await is_known():
            await asyncio.sleep(0.5)  # too many failed tokens are refused in another way
    await active.access.RevokeToken(access_pb.RevokeTokenRequest(name="ci"))
    async with asyncio.timeout(5):
        while await is_known():
            await asyncio.sleep(0.5)


@pytest.mark.long
async def test_an_active_conductor_that_is_stopped_gives_the_lease_away_at_once(real: Pair) -> None:
    active, standby, run = await talking(real)
    watching = asyncio.create_task(standby.watch(run))

    begun = time.monotonic()
    active.stop.set()
    await until_active(standby)
    took = time.monotonic() - begun

    assert took < 2.0
    await end_talk(real, [watching])


async def test_an_active_conductor_that_cannot_reach_the_database_becomes_a_standby_and_stores_nothing_more(
    pair: Pair,
) -> None:
    """The lease runs out by its own clock; the other one takes over when it has run out by the database's."""
    active, standby, run = await talking(pair)
    watching = [asyncio.create_task(one.watch(run)) for one in (active, standby)]

    begun = time.monotonic()
    pair.stores["a"].is_cut = True
    await until_active(standby)
    took = time.monotonic() - begun
    assert took < LEASE_SECONDS + 3.0

    async with asyncio.timeout(5):
        while await role(active) == "active":
            await asyncio.sleep(0.02)
    await standby.runs.PauseRun(pb.PauseRunRequest(name=run))
    await standby.runs.ResumeRun(pb.ResumeRunRequest(name=run))
    await end_talk(pair, watching)
    pair.stores["a"].is_cut = False
    active.stop.set()


@pytest.mark.long
async def test_a_database_that_was_away_for_all_is_led_again_with_a_new_epoch(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    active, standby, run = await talking(pair)
    watching = [asyncio.create_task(one.watch(run)) for one in (active, standby)]

    pair.shared.is_away = True
    await asyncio.sleep(LEASE_SECONDS * 1.5)
    assert {await role(active), await role(standby)} == {"standby"}
    told = await refusal(standby.runs.PauseRun(pb.PauseRunRequest(name=run)))
    assert told.reason == "NOT_ACTIVE"
    assert "no conductor can be active: the database is away" in told.message
    assert await asyncio.to_thread(main, ["--address", f"{standby.target},{active.target}", "doctor"]) == 1
    assert capsys.readouterr().out.count("standby, and its database does not answer\n    the database is away") == 2
    pair.shared.is_away = False
    async with asyncio.timeout(LEASE_SECONDS + 3.0):
        while "active" not in {await role(active), await role(standby)}:
            await asyncio.sleep(0.02)

    await end_talk(pair, watching)
    assert pair.shared.disk.epoch == 2
