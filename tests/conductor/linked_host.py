"""A link to a host of executions that keeps the rules of Execute, over real streams, and an inbox in the place of the engine."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1.execution_service_pb2_grpc import ExecutionServiceStub, add_ExecutionServiceServicer_to_server
from conductor.core.model.commands import AckExecution
from conductor.core.model.events.event_parts import StartSpec
from conductor.core.model.inputs import AgentFinished, ExecutionLost, ExecutionRefused, ExecutionReported
from conductor.core.model.output import Output
from conductor.hosts.attempt_stream import Sources
from conductor.hosts.executions import ExecutionLink
from conductor.hosts.identity import Identity
from servicekit.addresses import Address
from servicekit.channels import open_channel
from servicekit.server import Server
from tests.fakes.execution_host import ExecutionHost, finished, said, started
from tests.kit.waiting import until

RUN = "0" * 26
ATTEMPT = f"{RUN}-ask-1"
PROMPT = b"What is here?"
SPEC = StartSpec(ATTEMPT, "scripted", hashlib.sha256(PROMPT).hexdigest(), "c" * 40, (("lens", "x"),), 60.0, 30.0)
SCRIPT = (started(), said("a"), said("bc"), said("think", pb.Output.CHANNEL_REASONING), said("d"), finished())


@dataclass
class RecordingInbox:
    """Records what the engine would get; it acknowledges as the engine would, through `post`."""

    post: Callable[[object], None] = lambda command: None
    reports: list[ExecutionReported] = field(default_factory=list)
    notes: list[ExecutionRefused | ExecutionLost] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1_000_000))

    async def offer(self, report: ExecutionReported) -> None:
        await self.room.acquire()
        self.reports.append(report)
        is_last = any(isinstance(part, AgentFinished) for part in report.reports)
        if is_last or report.last_sequence % 2 == 0:
            self.post(AckExecution("alpha", report.attempt, report.last_sequence, finished=is_last))
        self.changed.set()

    def note(self, told: ExecutionRefused | ExecutionLost) -> None:
        self.notes.append(told)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(condition, changed=self.changed)

    @property
    def sequences(self) -> list[int]:
        return [report.first_sequence for report in self.reports]

    def text(self, channel: str) -> str:
        parts = [part for report in self.reports for part in report.reports]
        return "".join(part.text for part in parts if isinstance(part, Output) and part.channel == channel)


@dataclass
class Linked:
    """A link to a fake host."""

    host: ExecutionHost
    inbox: RecordingInbox
    link: ExecutionLink
    disabled: list[str]
    ensured: list[str]
    live: set[str]
    arrive: Callable[[], Awaitable[object]]  # has a host come that was absent
    round_trip: Callable[[], Awaitable[object]]  # what was written before it has arrived after it, both ways

    async def until_over(self) -> None:
        """Waits until the link has no attempt left: every call has ended."""
        async with asyncio.timeout(20):
            while self.link.attempts:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def linked(
    tmp_path: Path,
    host: ExecutionHost,
    *,
    ensure: Callable[[str], object] | None = None,
    epoch: int = 1,
    is_absent: bool = False,
    is_newest_start: bool = True,
) -> AsyncIterator[Linked]:
    inbox, disabled, ensured, live = RecordingInbox(), [], [], set()

    async def prompt(run: str, digest: str) -> bytes:
        assert (run, digest) == (RUN, SPEC.prompt)
        return PROMPT

    async def is_newest() -> bool:
        return is_newest_start

    async def ensure_snapshot(commit: str) -> None:
        ensured.append(commit)
        if ensure is not None:
            await ensure(commit)

    address, serving = Address.parse(f"unix:{tmp_path}/h"), AsyncExitStack()

    async def arrive() -> None:
        server = await Server.start(address, [(add_ExecutionServiceServicer_to_server, host)], service="agenthost")
        serving.push_async_callback(server.stop, 0)

    if not is_absent:
        await arrive()
    async with serving, open_channel(address.target, many_streams=True) as channel:
        link = ExecutionLink(
            "alpha",
            channel,
            identity=Identity("c1", epoch, is_newest),
            inbox=inbox,
            sources=Sources(prompt, ensure_snapshot),
            is_live=lambda attempt: attempt in live,
            disable=disabled.append,
        )
        inbox.post = link.post
        running = asyncio.create_task(link.run())
        listed = ExecutionServiceStub(channel).ListExecutions
        asked = pb.ListExecutionsRequest(conductor_id="c1", epoch=epoch)
        yield Linked(host, inbox, link, disabled, ensured, live, arrive, lambda: listed(asked))
        running.cancel()
        await asyncio.wait([running])


def is_whole(inbox: RecordingInbox) -> bool:
    return bool(inbox.reports) and any(isinstance(part, AgentFinished) for part in inbox.reports[-1].reports)
