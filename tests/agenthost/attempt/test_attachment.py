import asyncio

from agenthost.attempt.attachment import Attachments


async def test_a_newer_stream_waits_until_the_older_has_let_go() -> None:
    attachments, order = Attachments(), []
    may_leave = asyncio.Event()

    async def older() -> None:
        async with attachments.attach() as mine:
            order.append("older in")
            await mine.superseded.wait()
            order.append("older told")
            await may_leave.wait()
            order.append("older out")

    async def newer() -> None:
        async with attachments.attach():
            order.append("newer in")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(older())
        await asyncio.sleep(0)
        tasks.create_task(newer())
        for _ in range(10):
            await asyncio.sleep(0)
        may_leave.set()

    assert order == ["older in", "older told", "older out", "newer in"]
    assert attachments.current is None


async def test_a_stream_that_is_cancelled_while_it_waits_does_not_let_a_third_in_early() -> None:
    attachments, order = Attachments(), []
    may_leave = asyncio.Event()

    async def first() -> None:
        async with attachments.attach():
            await may_leave.wait()
            order.append("first out")

    async def other(name: str) -> None:
        async with attachments.attach() as mine:
            order.append(f"{name} in, superseded: {mine.superseded.is_set()}")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(first())
        await asyncio.sleep(0)
        second = tasks.create_task(other("second"))
        await asyncio.sleep(0)
        tasks.create_task(other("third"))
        await asyncio.sleep(0)
        second.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        may_leave.set()

    assert order == ["first out", "third in, superseded: False"]
