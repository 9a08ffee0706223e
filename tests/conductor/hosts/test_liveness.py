"""The link that watches a host: how it connects, tells, and notices silence."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.json_format import MessageToDict

from agenthost.v1 import host_service_pb2
from conductor.api.messages.hosts import host_message
from conductor.core.model.inputs import HostAgent, HostReported, UnusableAgent
from conductor.hosts.host_view import HostState, HostView
from conductor.hosts.liveness import HostLink
from conductor.v1 import pool_service_pb2
from servicekit.channels import open_channel
from tests.fakes.agent_host import HostTeller, agent_host
from tests.fakes.execution_host import ExecutionHost
from tests.kit.waiting import until

LONG_SECONDS = 60.0


@dataclass
class Watching:
    """A link at work, and what it told."""

    link: HostLink = field(init=False)
    notes: list[HostReported] = field(default_factory=list)
    attached: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, told: HostReported) -> None:
        self.notes.append(told)
        self.changed.set()

    def attach(self) -> None:
        self.attached += 1
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(condition, changed=self.changed)


@asynccontextmanager
async def watching(address: str, silence_seconds: float = LONG_SECONDS) -> AsyncIterator[Watching]:
    async with open_channel(address) as channel:
        it = Watching()
        it.link = HostLink(
            HostView("alpha", address),
            channel,
            it.note,
            now=lambda: 1000.0,
            silence_seconds=silence_seconds,
            attached=it.attach,
        )
        running = asyncio.create_task(it.link.run())
        yield it
        running.cancel()
        await asyncio.wait([running])


async def test_a_host_that_answers_is_ready_and_what_it_offers_is_told(tmp_path: Path) -> None:
    teller = HostTeller("alpha", "survey")
    teller.host.agents.add(name="broken", available=False, unavailable_reason="not installed", spec_refused=True)
    teller.host.features.append("path_ids")
    order = host_service_pb2.TrialOrder(name="write a file", answer="no", held=True)
    trial = host_service_pb2.Trial(version="1", digest="d", held=True, current=True, orders=[order])
    trial.time.FromSeconds(1_790_000_000)
    teller.host.agents[0].last_trial.CopyFrom(trial)
    async with agent_host(tmp_path, "alpha", ExecutionHost(), teller) as address, watching(address) as it:
        await it.until(lambda: it.attached == 1)

        broken = (UnusableAgent("broken", "not installed"),)
        agents = (HostAgent("survey", "1"),)
        told = HostReported(
            "alpha",
            connected=True,
            slots=8,
            agents=agents,
            unusable=broken,
            features=frozenset({"path_ids"}),
            address=address,
        )
        assert it.notes == [told]
        shown = host_message(it.link.view, running=3, lost_before=0.0)
        assert shown.state == pool_service_pb2.Host.STATE_READY
        assert (shown.slots, shown.running, shown.last_seen_time.seconds) == (8, 3, 1000)
        assert [agent.unavailable_reason for agent in shown.agents] == ["", "not installed"]
        assert [agent.spec_refused for agent in shown.agents] == [False, True]
        assert MessageToDict(shown.agents[0].last_trial) == MessageToDict(trial)  # E11
        assert not shown.agents[1].HasField("last_trial")


async def test_a_host_that_cannot_be_reached_is_told_once_and_told_again_when_it_comes(tmp_path: Path) -> None:
    async with watching(f"unix:{tmp_path}/alpha.sock") as it:
        await it.until(lambda: bool(it.notes))
        shown = host_message(it.link.view, running=0, lost_before=0.0)
        async with agent_host(tmp_path, "alpha", ExecutionHost(), HostTeller("alpha")) as address:
            assert address == it.link.view.address
            await it.until(lambda: it.attached == 1)

    assert [note.connected for note in it.notes[:2]] == [False, True]
    assert shown.state == pool_service_pb2.Host.STATE_CONNECTING
    assert not shown.HasField("last_seen_time")


async def test_a_host_that_drains_is_told_as_draining(tmp_path: Path) -> None:
    teller = HostTeller("alpha")
    async with agent_host(tmp_path, "alpha", ExecutionHost(), teller) as address, watching(address) as it:
        await it.until(lambda: it.attached == 1)
        teller.change(state=host_service_pb2.Host.STATE_DRAINING)
        await it.until(lambda: len(it.notes) == 2)

        assert it.notes[-1].draining
        assert it.link.view.state is HostState.DRAINING
        assert it.attached == 1


async def test_a_host_that_is_not_there_delays_nothing_and_says_what_is_wrong(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/absent.sock"
    async with watching(address) as it:
        async with asyncio.timeout(10):
            while not it.link.view.problem:
                await asyncio.sleep(0.01)

        assert it.link.view.state is HostState.CONNECTING
        assert it.link.view.problem == f"cannot be reached at {address}: no such file or directory"
        assert it.notes == [HostReported("alpha", connected=False, address=address)]


async def test_a_host_on_a_port_where_nothing_listens_is_told_in_few_words() -> None:
    async with watching("127.0.0.1:1") as it:
        await until(lambda: bool(it.link.view.problem))

        assert it.link.view.problem == "cannot be reached at 127.0.0.1:1: connection refused"


async def test_a_host_that_stops_is_disconnected_and_found_again(tmp_path: Path) -> None:
    teller = HostTeller("alpha")
    async with agent_host(tmp_path, "alpha", ExecutionHost(), teller) as address, watching(address) as it:
        await it.until(lambda: it.attached == 1)
        teller.end()
        await it.until(lambda: len(it.notes) == 2)
        assert not it.notes[-1].connected
        assert it.link.view.state is HostState.DISCONNECTED

        teller.error = None
        await it.until(lambda: it.attached == 2)
        assert it.notes[-1].connected
        assert it.link.view.problem == ""


async def test_a_host_that_is_silent_is_disconnected_although_its_connection_stands(tmp_path: Path) -> None:
    """Keeps grpc.md's rule 7: a blocked process answers pings."""
    teller = HostTeller("alpha")
    async with agent_host(tmp_path, "alpha", ExecutionHost(), teller) as address, watching(address, 0.05) as it:
        await it.until(lambda: it.attached == 2)

        assert [note.connected for note in it.notes[:3]] == [True, False, True]


async def test_a_disabled_host_stays_disconnected_and_says_why(tmp_path: Path) -> None:
    teller = HostTeller("alpha")
    async with agent_host(tmp_path, "alpha", ExecutionHost(), teller) as address, watching(address) as it:
        await it.until(lambda: it.attached == 1)
        it.link.disable("another drives it")
        await it.until(lambda: len(it.notes) == 2)

        assert it.link.view.state is HostState.DISCONNECTED
        assert it.link.view.problem == "another drives it"


async def test_a_host_with_another_name_is_told_apart(tmp_path: Path) -> None:
    teller = HostTeller("beta")
    async with agent_host(tmp_path, "alpha", ExecutionHost(), teller) as address, watching(address) as it:
        await it.until(lambda: it.attached == 1)

        told = it.link.view.problem

    assert told.startswith("calls itself 'beta'; start it with agenthost serve --name alpha, or the conductor with:")
    assert told.endswith(f"conductor serve --host beta={address}")
