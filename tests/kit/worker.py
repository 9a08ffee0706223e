"""An evaluation worker in this process: a test of something else need not start four processes for each conductor."""

from io import BytesIO

from conductor.evaluation.tasks import TASKS
from conductor.evaluation.workers.frames import Frame, encode, read
from conductor.evaluation.workers.pool import Worker


class WorkerInProcess(Worker):
    """Does the tasks of a worker, and passes the same bytes. It has no limits: those are tested with real workers."""

    async def warm(self) -> None:
        """Has nothing to start."""

    async def ask(self, frame: Frame, seconds: float) -> Frame:
        question = _through_a_pipe(frame)
        return _through_a_pipe(TASKS[question.header["task"]](question))


def _through_a_pipe(frame: Frame) -> Frame:
    read_frame = read(BytesIO(encode(frame)))
    assert read_frame is not None
    return read_frame
