"""Reads the snapshot's history with git: log, show and blame, with read-only commands only, bounded in time and in memory.

A commit may add gigabytes: git is ended as soon as it has said more than a model could read, and large files are binary to it.
"""

import os
import re
import selectors
import subprocess
import time

from .files import ToolError

SECONDS = 20.0
MAX_CHARACTERS = 16_000
MAX_BYTES = 4 * MAX_CHARACTERS  # of what git says: a character has up to four
MAX_ERROR_BYTES = 4_096
CHUNK_BYTES = 16_384
MAX_COMMITS = 50
_COMMIT = re.compile(r"[0-9A-Za-z][0-9A-Za-z_./~^-]{0,99}")
_CONFIGURED = ("-c", "core.bigFileThreshold=2m", "-c", "core.quotePath=false")


def log(path: str = "", limit: int = 15) -> str:
    """Returns the newest commits, of a path where one is given."""
    count = min(max(limit, 1), MAX_COMMITS)
    return _git("log", f"-n{count}", "--date=short", "--format=%h %ad %an: %s", "--", *([path] if path else []))


def show(commit: str, path: str = "") -> str:
    """Returns a commit's message and diff, or a file as it was in that commit."""
    if not _COMMIT.fullmatch(commit):
        raise ToolError(f"'{commit}' is no commit; git_log shows them")
    plain = ("--no-ext-diff", "--no-textconv")
    return _git("show", *plain, f"{commit}:{path}") if path else _git("show", *plain, "--stat", "--patch", commit)


def blame(path: str, start_line: int = 1, end_line: int = 0) -> str:
    """Returns who changed each line last, and when."""
    first = max(start_line, 1)
    last = end_line or first + 40
    return _git("blame", "--date=short", f"-L{first},{max(last, first)}", "--", path)


def _git(*arguments: str) -> str:
    command = ["git", "--no-pager", *_CONFIGURED, *arguments]
    try:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                said, complaint = _read(process, time.monotonic() + SECONDS)
            finally:
                process.kill()  # it has ended, or has said enough
    except TimeoutError as error:
        raise ToolError(f"git {arguments[0]} took longer than {SECONDS:g} s; ask for less") from error
    except OSError as error:
        raise ToolError("git is not there, so there is no history") from error
    text = said.decode("utf-8", "replace")
    if process.returncode and len(said) <= MAX_BYTES:
        raise ToolError(complaint.decode("utf-8", "replace").strip()[:500] or f"git {arguments[0]} failed")
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "\n… cut; ask for one path or fewer lines"


def _read(process: "subprocess.Popen[bytes]", deadline: float) -> tuple[bytes, bytes]:
    """Returns both outputs, up to a byte more than is wanted of the first; raises TimeoutError."""
    kept = {stream.fileno(): bytearray() for stream in (process.stdout, process.stderr) if stream}
    said, complaint = kept.values()
    with selectors.DefaultSelector() as waiting:
        for number in kept:
            waiting.register(number, selectors.EVENT_READ)
        while waiting.get_map() and len(said) <= MAX_BYTES:
            ready = waiting.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if data := os.read(key.fd, CHUNK_BYTES):
                    kept[key.fd] += data
                else:
                    waiting.unregister(key.fd)
            del complaint[MAX_ERROR_BYTES:]
    if len(said) <= MAX_BYTES:
        process.wait()
    return bytes(said), bytes(complaint)
