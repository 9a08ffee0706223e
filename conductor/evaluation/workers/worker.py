"""The worker program: `python -I -m conductor.evaluation.workers.worker`. Reads frames, does tasks, writes frames; nothing else.

It limits itself before it reads the first frame: memory, processor time per frame, no core files, few descriptors. Its owner limits
the wall time, and starts another process after a limit was hit.
"""

import resource
import sys
import time
from typing import BinaryIO

from conductor.evaluation.tasks import TASKS
from conductor.evaluation.workers.frames import Frame, encode, read
from conductor.evaluation.workers.limits import MAX_ANSWER_BYTES, MAX_CPU_SECONDS, MAX_MEMORY_BYTES

MAX_DESCRIPTORS = 32


def main() -> None:
    """Answers frame after frame until the pipe closes."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_DESCRIPTORS, MAX_DESCRIPTORS))
    sys.stdout.buffer.write(encode(Frame({"ready": True})))
    sys.stdout.buffer.flush()
    while (frame := read(sys.stdin.buffer)) is not None:
        # RLIMIT_CPU counts for the whole process, so each frame moves it. Its signal ends this process, which the owner sees.
        limit = int(time.process_time() + MAX_CPU_SECONDS + 1)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        if not _answer(frame, sys.stdout.buffer):
            return


def _answer(frame: Frame, output: BinaryIO) -> bool:
    """Writes the answer to a frame. Returns whether this process may take another."""
    is_good = True
    try:
        data = encode(TASKS[frame.header["task"]](frame))
        if len(data) > MAX_ANSWER_BYTES:
            data = encode(Frame({"limit": f"its answer has {len(data)} bytes; the limit is {MAX_ANSWER_BYTES}"}))
    except MemoryError:
        is_good = False
        data = encode(Frame({"limit": f"it needs more than {MAX_MEMORY_BYTES // 1024**2} MiB of memory"}))
    output.write(data)
    output.flush()
    return is_good


if __name__ == "__main__":
    main()
