"""Worker processes at their limits: killed, named and started again, while other jobs go on. Keeps C2."""

import asyncio
import json
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from conductor.evaluation.workers import limits
from conductor.evaluation.workers import pool as workers
from conductor.evaluation.workers.frames import Frame, FrameError, encode, header_size, read_header
from conductor.evaluation.workers.pool import Lane, LimitHitError, Worker, WorkerBrokenError
from conductor.flows.library.bundle import write_bundle
from conductor.flows.library.library import Texts
from servicekit.programs import Running
from tests.conductor.evaluation.story import agent, flow_of
from tests.kit.waiting import side_by_side, until

pytestmark = pytest.mark.processes

INPUTS = json.dumps({"question": "", "band": "small"}).encode()
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def prompt(template: str) -> Frame:
    bundle = write_bundle(flow_of(agent("a", template)), Texts({}, {}))
    return Frame({"task": "prompt", "step": "a"}, (bundle, INPUTS, b"{}"))


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a worker try more often, because other tests may take the processor meanwhile; a quiet machine needs one try."""
    monkeypatch.setattr(workers, "TRIES", 5)


@asynccontextmanager
async def serving(lane: Lane) -> AsyncIterator[Lane]:
    task = asyncio.create_task(lane.run())
    try:
        yield lane
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_worker_answers_one_question_after_the_other() -> None:
    async with Worker() as worker:
        first = await worker.ask(prompt("one"), 20.0)
        second = await worker.ask(prompt("two"), 20.0)

    assert [answer.attachments[0] for answer in (first, second)] == [b"one\n", b"two\n"]


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(
    ("template", "seconds", "said"),
    [
        (ENDLESS, 0.5, "more than 0.5 s"),
        ("{{ 'x' * 900000000 }}", 20.0, "512 MiB of memory"),
    ],
)
async def test_a_limit_is_named_and_the_next_question_is_answered(template: str, seconds: float, said: str) -> None:
    async with Worker() as worker:
        with pytest.raises(LimitHitError, match=said):
            await worker.ask(prompt(template), seconds)
        after = await worker.ask(prompt("well"), 20.0)

    assert after.attachments[0] == b"well\n"


async def test_processor_time_is_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Worker() as worker:
        running = await worker.start()
        asked = asyncio.ensure_future(worker.ask(prompt(ENDLESS), 60.0))
        await asyncio.sleep(0)
        # What the kernel sends when the time is used up; waiting for that would take as long as the limit.
        os.kill(running.pid, signal.SIGXCPU)
        with pytest.raises(LimitHitError, match=f"more than {limits.MAX_CPU_SECONDS} s of processor time"):
            await asked


@pytest.mark.parametrize("sent", [signal.SIGSTOP, signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("size", [1, 300_000])
async def test_a_worker_that_others_stopped_or_ended_is_replaced_and_what_it_was_asked_is_answered(
    sent: signal.Signals, size: int
) -> None:
    """A debugger, a freezer, an operator or the kernel without memory does it; the question may fit its pipe or not."""
    async with Worker() as worker:
        first = await worker.start()
        os.kill(first.pid, sent)
        answers = await side_by_side(worker.ask(prompt(f"{number}" * size), 1.0) for number in range(3))
        second = await worker.start()

    assert {answer.attachments[0] for answer in answers} == {b"%d" % number * size + b"\n" for number in range(3)}
    assert second.pid != first.pid


@pytest.mark.usefixtures("patience")
async def test_a_worker_that_was_killed_at_work_is_replaced_and_what_it_was_at_is_asked_again() -> None:
    async with Worker() as worker:
        first = await worker.start()
        begun = first.processor_seconds()
        asked = asyncio.ensure_future(worker.ask(prompt(ENDLESS), 0.5))
        while first.processor_seconds() < begun + 0.1:
            await asyncio.sleep(0.01)
        os.kill(first.pid, signal.SIGKILL)
        with pytest.raises(LimitHitError, match=r"more than 0\.5 s"):
            await asked


@pytest.mark.long
async def test_a_question_whose_workers_are_stopped_again_and_again_fails_as_trouble_of_the_machine() -> None:
    stopped = set[int]()

    class StoppedWorker(Worker):
        async def start(self) -> Running:
            running = await super().start()
            os.kill(running.pid, signal.SIGSTOP)
            stopped.add(running.pid)
            return running

    async with StoppedWorker() as worker:
        with pytest.raises(WorkerBrokenError, match="disturbs its worker process"):
            await worker.ask(prompt(ENDLESS), 0.2)

    assert len(stopped) == workers.TRIES


async def test_a_worker_that_ended_itself_is_a_defect_and_is_replaced() -> None:
    async with Worker() as worker:
        first = await worker.start()
        os.kill(first.pid, signal.SIGABRT)
        with pytest.raises(WorkerBrokenError):
            await worker.ask(prompt("x"), 20.0)
        second = await worker.start()

        assert second.pid != first.pid
        assert (await worker.ask(prompt("y"), 20.0)).attachments[0] == b"y\n"


@pytest.mark.parametrize("left", [0, 1, 3, 5])
async def test_a_worker_for_which_there_are_too_few_descriptors_starts_when_there_are_more(left: int) -> None:
    """However many are left: those of its complaints, of its pipes, or of half of them."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    async with Worker() as worker:
        asyncio.get_running_loop().call_later(0.1, resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + left, before[1]))
        assert (await worker.ask(prompt("x"), 20.0)).attachments[0] == b"x\n"


async def test_a_worker_answers_in_order_what_was_asked_of_it_at_once() -> None:
    async with Worker() as worker:
        asked = [worker.ask(prompt(f"{number} {'x' * (number * 12_000)}"), 20.0) for number in range(60)]
        answers = await side_by_side(asked)

    assert [answer.attachments[0].split()[0] for answer in answers] == [b"%d" % number for number in range(60)]


@pytest.mark.long
@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("seconds", [0.5, 20.0])
async def test_what_waits_behind_a_question_that_hits_a_limit_is_answered_all_the_same(seconds: float) -> None:
    """Keeps C2. One hits the wall clock, and one the memory: neither is tried again, and no other job is affected."""
    bad = ENDLESS if seconds < 2 else "{{ 'x' * 900000000 }}"
    async with Worker() as worker:
        asked = [worker.ask(prompt(bad if number in {3, 7} else f"{number}"), seconds) for number in range(12)]
        answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [number for number, answer in enumerate(answers) if isinstance(answer, LimitHitError)] == [3, 7]
    assert [answer.attachments[0] for answer in answers if isinstance(answer, Frame)] == [
        b"%d\n" % number for number in range(12) if number not in {3, 7}
    ]


async def test_a_caller_that_goes_away_takes_no_answer_of_those_behind_it() -> None:
    async with Worker() as worker:
        hanging = asyncio.ensure_future(worker.ask(prompt(ENDLESS), 20.0))
        behind = [asyncio.ensure_future(worker.ask(prompt(f"{number}"), 20.0)) for number in range(5)]
        await worker.start()
        hanging.cancel()
        answers = await asyncio.gather(*behind)

    assert [answer.attachments[0] for answer in answers] == [b"%d\n" % number for number in range(5)]


async def test_a_request_that_is_too_large_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MAX_REQUEST_BYTES", 1000)
    async with Worker() as worker:
        with pytest.raises(LimitHitError, match="the limit is 1000"):
            await worker.ask(prompt("x" * 2000), 20.0)


async def test_a_worker_has_no_environment_and_ends_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "bait")
    async with Worker() as worker:
        pid = (await worker.start()).pid
        assert b"bait" not in Path(f"/proc/{pid}/environ").read_bytes()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_run_that_hangs_holds_one_worker_and_the_others_go_on() -> None:
    """Keeps C2."""
    async with serving(Lane("test", 2)) as lane:
        hanging = [asyncio.ensure_future(lane.call("hangs", prompt(ENDLESS), 3.0)) for _ in range(3)]
        for number in range(10):
            answer = await lane.call(f"run {number}", prompt(f"{number}"), 20.0)
            assert answer.attachments[0] == f"{number}\n".encode()

        assert not any(task.done() for task in hanging)
        for task in hanging:
            task.cancel()


def started() -> int:
    """Counts the worker processes of this process."""
    children = "".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split()
    programs = (Path(f"/proc/{child}/cmdline").read_bytes() for child in children)
    return sum(b"conductor.evaluation.workers.worker" in program for program in programs)


async def test_one_worker_is_enough_while_nothing_waits_and_others_start_when_something_does() -> None:
    async with serving(Lane("test", 3)) as lane:
        for number in range(5):
            await lane.call(f"run {number}", prompt(f"{number}"), 20.0)
        assert started() == 1

        hanging = asyncio.ensure_future(lane.call("hangs", prompt(ENDLESS), 20.0))
        await asyncio.sleep(0)
        await lane.call("waits", prompt("x"), 20.0)
        assert started() >= 2
        hanging.cancel()


async def test_all_workers_start_by_themselves_when_the_service_has_found_its_feet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "SETTLING_SECONDS", 0.0)
    async with serving(Lane("test", 3)):
        await until(lambda: started() == 3)


async def test_a_caller_that_goes_away_leaves_nothing_to_do() -> None:
    async with serving(Lane("test", 1)) as lane:
        gone = [asyncio.ensure_future(lane.call("a", prompt(ENDLESS), 2.0)) for _ in range(20)]
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()

        assert (await lane.call("b", prompt("x"), 20.0)).attachments[0] == b"x\n"


def test_frames_that_are_too_large_or_cut_are_refused() -> None:
    data = encode(Frame({"a": 1}, (b"x", b"yy")))
    size = header_size(data[:4])

    assert read_header(data[4 : 4 + size]) == ({"a": 1}, [1, 2])
    with pytest.raises(FrameError):
        header_size(b"\xff\xff\xff\xff")
    with pytest.raises(FrameError):
        read_header(b'{"attachment_sizes": [999999999999]}')


OWNER = """
import asyncio, sys
from conductor.evaluation.workers.pool import Worker

async def main():
    async with Worker() as worker:
        print((await worker.start()).pid, flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


async def test_a_worker_ends_when_its_service_is_killed() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    worker = os.pidfd_open(int(owner.stdout.readline()))
    owner.kill()
    owner.communicate()

    # A pidfd can be read from when its process has ended.
    ended, _, _ = await asyncio.to_thread(select.select, [worker], [], [], 20.0)
    os.close(worker)

    assert ended == [worker]


def test_a_worker_starts_without_what_only_few_flows_need() -> None:
    """Importing jsonschema would be a quarter of its start, and each conductor has four workers."""
    program = (
        "import sys, conductor.evaluation.workers.worker; print('jsonschema' in sys.modules, 'jinja2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "True"]
