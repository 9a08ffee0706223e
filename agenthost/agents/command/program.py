"""Runs the command, tells its output as it comes, and ends in a typed result. A non-zero exit is a value, and no failure."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, TextIO

from ..voice import Voice
from .copying import NoRoomError, copy_tree

WORK = Path("/tmp/work")  # noqa: S108 - the sandbox's own
TAIL_BYTES = 64 * 1024  # of each stream, in the result
TOLD_BYTES = 1024 * 1024  # of both streams together, as they come
CANNOT_RUN = 3  # this program's own exit code, where there is no result


class _Stream:
    """Reads one stream of the command: keeps its end, and counts the rest."""

    def __init__(self, source: IO[bytes], tell: "_Telling") -> None:
        self._source, self._tell = source, tell
        self._kept = bytearray()
        self._bytes = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def is_cut(self) -> bool:
        """Returns whether the tail lacks a part of the stream."""
        return self._bytes > TAIL_BYTES

    def tail(self) -> str:
        """Waits for the stream's end, and returns its last part."""
        self._thread.join()
        return self._kept.decode(errors="replace")

    def _read(self) -> None:
        while piece := os.read(self._source.fileno(), 8192):
            self._kept += piece
            del self._kept[:-TAIL_BYTES]
            self._bytes += len(piece)
            self._tell.tell(piece)


class _Telling:
    """Tells what the command writes as log, up to a limit. Two streams share it."""

    def __init__(self, voice: Voice) -> None:
        self._voice, self._lock, self._room = voice, threading.Lock(), TOLD_BYTES

    def tell(self, piece: bytes) -> None:
        """Tells a piece, as far as there is room."""
        with self._lock:
            if self._room > 0:
                self._voice.log(piece[: self._room].decode(errors="replace").rstrip("\n"))
                self._room -= len(piece)
                if self._room <= 0:
                    self._voice.notice(f"more than {TOLD_BYTES} bytes were written; the rest is not told as it comes")


def main(arguments: Sequence[str], *, root: Path | None = None, work: Path = WORK, output: TextIO | None = None) -> int:
    """Runs the command after `--` in a copy of the current folder."""
    if len(arguments) < 2 or arguments[0] != "--":
        sys.stderr.write("usage: command -- PROGRAM [ARGUMENT …]\n")
        return 2
    voice = Voice(output or sys.stdout)
    try:
        copy_tree(root or Path.cwd(), work)
        result = _run(arguments[1:], work, voice)
    except (NoRoomError, OSError) as error:
        sys.stderr.write(f"cannot run {arguments[1]}: {error}\n")
        return CANNOT_RUN
    voice.answer(_summary(arguments[1:], result))
    voice.final(result)
    return 0


def _run(argv: Sequence[str], work: Path, voice: Voice) -> dict[str, Any]:
    environment = {**os.environ, "PWD": str(work)}
    running = subprocess.Popen(
        argv, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdout is not None  # noqa: S101 - they are pipes; this is for the type checker
    assert running.stderr is not None  # noqa: S101
    telling = _Telling(voice)
    streams = [_Stream(running.stdout, telling), _Stream(running.stderr, telling)]
    code = running.wait()
    stdout, stderr = (stream.tail() for stream in streams)
    is_cut = any(stream.is_cut for stream in streams)
    # As a shell tells it where a signal ended the command.
    return {"exit_code": code if code >= 0 else 128 - code, "stdout": stdout, "stderr": stderr, "truncated": is_cut}


def _summary(argv: Sequence[str], result: dict[str, Any]) -> str:
    parts = [f"{argv[0]} ended with exit code {result['exit_code']}.\n"]
    parts += [f"\n{name}:\n{result[name].rstrip()}\n" for name in ("stdout", "stderr") if result[name].strip()]
    return "".join(parts)
