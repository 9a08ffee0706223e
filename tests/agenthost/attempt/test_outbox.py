import asyncio
import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenthost.api.messages import write_frame
from agenthost.attempt.cuts import Cuts
from agenthost.attempt.outbox import Outbox
from agenthost.core.admission.order import Limits
from agenthost.core.damage import Damage
from agenthost.core.ending import Cause, Ending, judge
from agenthost.core.output.agent_output import AgentOutput, Summary
from agenthost.core.output.frame import Attestation, Finished, Frame, Started
from agenthost.core.output.numbering import Cut
from agenthost.core.output.spool import RecordKind
from agenthost.shim.spool import pack
from agenthost.system.change import Change


class GrowingSpool:
    """An attempt whose spool a test fills by hand."""

    def __init__(self) -> None:
        self.change = Change()
        self.started: tuple[Started, int] | None = None
        self.ended = False
        self.spool = b""
        self.is_whole = True
        self.fault = ""
        self.damage: Damage | None = None
        self.is_overtaken = False

    @property
    def spool_size(self) -> int:
        return len(self.spool)

    async def mark_damaged(self, text: str, sequence: int) -> Damage:
        self.end()
        self.damage = self.damage or Damage(text, sequence, 3)
        return self.damage

    def start(self) -> None:
        self.started = (Started(Attestation(mechanism="test", pid=7)), 1)
        self.change.notify()

    def write(self, data: bytes) -> None:
        self.spool += data
        self.change.notify()

    def end(self) -> None:
        self.ended = True
        self.change.notify()

    def read_spool(self, offset: int, limit: int) -> bytes:
        return self.spool[offset : offset + limit]

    def note_read(self, summary: Summary | None) -> None:
        pass

    def finish(self, summary: Summary, sequence: int, *, is_cancelled: bool = False) -> tuple[Finished, int]:
        cause = Cause.CANCELLED if is_cancelled else Cause.EXITED
        ending = Ending(Cause.FILES_DAMAGED if self.damage else cause, exit_code=0)
        return Finished(judge(ending, summary, Limits()), ending, summary, Attestation()), 2


def open_outbox(source: GrowingSpool, folder: Path) -> Outbox:
    return Outbox(source, Cuts(folder / "cuts", 10**6), AgentOutput("jsonl", 40), lambda _: None)


def record(payload: bytes) -> bytes:
    return pack(RecordKind.STDOUT, payload)


async def read(outbox: Outbox, after: int = 0, at_most: int = 10**6) -> list[Frame]:
    frames: list[Frame] = []
    async for frame in outbox.frames(after):
        frames.append(frame)
        if len(frames) == at_most:
            break
    return frames


lines = st.sampled_from(
    [
        *(
            json.dumps({"type": kind, "text": text}).encode() + b"\n"
            for kind in ("answer", "log")
            for text in ("a", "ä€", "")
        ),
        b'{"type":"usage","turns":3}\n',
        b'{"type":"denial","text":"no"}\n',
        b"not ours\n",
        b"\xff",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(writes=st.lists(st.tuples(lines, st.integers(1, 30)), max_size=10), data=st.data())
async def test_a_stream_that_breaks_at_any_frame_is_resumed_with_the_same_numbers_and_bytes(
    writes: list[tuple[bytes, int]], data: st.DataObject, tmp_path_factory: object
) -> None:
    """Keeps architecture rule 1. The streams come and go while the spool grows, in pieces of any size."""
    folder = Path(tmp_path_factory.mktemp("attempt"))  # type: ignore[attr-defined]
    source = GrowingSpool()
    source.start()
    seen: list[Frame] = []
    for payload, size in writes:
        spooled = record(payload)
        for start in range(0, len(spooled), size):
            source.write(spooled[start : start + size])
        if data.draw(st.booleans()):
            wanted = data.draw(st.integers(1, 4))
            seen += await read_what_is_there(open_outbox(source, folder), len(seen), wanted)
    source.end()
    for after in range(len(seen) + 1):
        frames = await read(open_outbox(source, folder), after)
        assert (seen[:after] + frames)[: len(seen)] == seen
        assert [frame.sequence for frame in frames] == list(range(after + 1, after + 1 + len(frames)))
    whole = await read(open_outbox(source, folder))
    again = await read(open_outbox(source, folder))

    assert [write_frame(frame).SerializeToString() for frame in whole] == [
        write_frame(frame).SerializeToString() for frame in again
    ]
    assert whole[: len(seen)] == seen
    assert isinstance(whole[-1].content, Finished)


async def read_what_is_there(outbox: Outbox, after: int, at_most: int) -> list[Frame]:
    """A stream that breaks: it takes some frames, or stands waiting when it is cut off."""
    frames: list[Frame] = []

    async def take() -> None:
        async for frame in outbox.frames(after):
            frames.append(frame)
            if len(frames) == at_most:
                return

    task = asyncio.ensure_future(take())
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    return frames


async def test_the_first_token_leaves_at_once_and_what_waits_is_merged(tmp_path: Path) -> None:
    source = GrowingSpool()
    source.start()
    frames = open_outbox(source, tmp_path).frames(0)
    await anext(frames)
    source.write(record(b'{"type":"answer","text":"a"}\n'))
    first = await anext(frames)
    for letter in "bcd":
        source.write(record(json.dumps({"type": "answer", "text": letter}).encode() + b"\n"))
    second = await anext(frames)

    assert [write_frame(frame).output.text for frame in (first, second)] == ["a", "bcd"]


async def test_an_attempt_that_was_refused_has_one_frame(tmp_path: Path) -> None:
    source = GrowingSpool()
    source.end()
    frames = await read(open_outbox(source, tmp_path))

    assert [(frame.sequence, type(frame.content)) for frame in frames] == [(1, Finished)]


async def test_a_torn_cut_is_dropped(tmp_path: Path) -> None:
    source = GrowingSpool()
    source.start()
    source.write(record(b'{"type":"answer","text":"a"}\n'))
    before = await read(open_outbox(source, tmp_path), at_most=2)
    with (tmp_path / "cuts").open("ab") as file:
        file.write(b"\x01\x02\x03")
    source.write(record(b'{"type":"answer","text":"b"}\n'))
    source.end()

    after = await read(open_outbox(source, tmp_path))
    assert after[:2] == before
    assert [frame.sequence for frame in after] == [1, 2, 3, 4]


async def test_a_restarted_daemon_tells_an_end_only_when_it_knows_it_again(tmp_path: Path) -> None:
    """Its predecessor had made the last cut; this one still looks back at the snapshot."""
    source = GrowingSpool()
    source.start()
    source.write(record(b'{"type":"answer","text":"a"}\n'))
    source.end()
    before = await read(open_outbox(source, tmp_path))
    source.ended = False

    assert await read_what_is_there(open_outbox(source, tmp_path), 0, len(before)) == before[:-1]
    source.end()
    assert await read(open_outbox(source, tmp_path)) == before


def test_a_look_at_the_newest_cut_makes_no_file_and_finds_the_last_whole_one(tmp_path: Path) -> None:
    """A file of cuts tells that secrets were remembered: one that was made too early would leave them unmasked."""
    cuts = Cuts(tmp_path / "cuts", 10**6)
    assert cuts.newest() is None
    assert not (tmp_path / "cuts").exists()
    for number in (1, 2):
        cuts.append(Cut(number, 7, number, final=False))
    cuts.close()
    with (tmp_path / "cuts").open("ab") as file:
        file.write(b"torn")

    assert cuts.newest() == Cut(2, 7, 2, final=False)


async def test_a_cancel_overtakes_the_output_that_is_not_read_yet(tmp_path: Path) -> None:
    source = GrowingSpool()
    source.start()
    source.write(record(b'{"type":"answer","text":"read"}\n'))
    outbox = open_outbox(source, tmp_path)
    frames = outbox.frames(0)
    first = [await anext(frames), await anext(frames)]
    for _ in range(20):
        source.write(record(b'{"type":"tool_call"}\n' * 10_000))
    source.end()
    source.is_overtaken = True
    rest = [frame async for frame in frames]
    source.is_overtaken = False
    again = await read(open_outbox(source, tmp_path))

    assert again == [*first, *rest]
    assert [type(frame.content).__name__ for frame in again] == ["Started", "Output", "Notice", "Finished"]
    assert isinstance(rest[-1].content, Finished)
    assert rest[-1].content.ending.cause is Cause.CANCELLED
