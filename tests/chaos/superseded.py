"""Earlier starts of the conductor that do not know that they are superseded, and go on giving orders (rule 10).

Such a one attaches to an attempt as if it were the newest, and cancels it: with an epoch just below the highest that the host has
admitted. A host that listens loses that attempt's work, which the judgement of the run finds; so does that of its admissions.
"""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import grpc

from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1.execution_service_pb2_grpc import ExecutionServiceStub
from tests.chaos.figures import Figures
from tests.chaos.rig import Rig
from tests.chaos.watchers import open_channel

PAUSE_SECONDS = 0.7
CALL_SECONDS = 3.0
REFUSED = "was superseded by"


class Superseded:
    """All earlier starts of a rig's conductor."""

    def __init__(self, rig: Rig, seed: int, figures: Figures) -> None:
        self._rig = rig
        self._random = Random(f"superseded {seed}")
        self._figures = figures

    async def speak(self) -> None:
        """Sends one order after the other, until it is cancelled."""
        # grpc.aio loses a cancellation that meets the end of a call: one in 65, where connections break all the time.
        while not _is_cancelled():
            await asyncio.sleep(PAUSE_SECONDS)
            host = self._random.choice(self._rig.hosts)
            admitted, attempts = self._rig.admissions(host), self._rig.living(host)
            if not admitted or not attempts:
                continue
            conductor, epoch = max(admitted, key=lambda one: one[1])
            if epoch > 1:
                order = pb.ExecuteRequest(conductor_id=conductor, epoch=epoch - 1)
                self._figures.voices += await self._cancel(host, self._random.choice(attempts), order)

    async def _cancel(self, host: str, attempt: str, order: pb.ExecuteRequest) -> bool:
        """Returns whether an order was heard, and refused because of its epoch."""
        resume, cancel = pb.ExecuteRequest(), pb.ExecuteRequest()
        for one in (resume, cancel):
            one.CopyFrom(order)
        resume.resume.execution = attempt
        cancel.cancel.reason = "an order of a superseded conductor"

        async def requests() -> AsyncIterator[pb.ExecuteRequest]:
            yield resume
            yield cancel

        async with open_channel(self._rig.links[host].address) as channel:
            call = ExecutionServiceStub(channel).Execute(requests(), timeout=CALL_SECONDS)
            try:
                async for _ in call:
                    pass
            except grpc.aio.AioRpcError as error:
                return REFUSED in (error.details() or "")
        return False


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
