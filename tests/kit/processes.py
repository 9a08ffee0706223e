"""Finds processes, and whether they are gone; takes a process its descriptors."""

import contextlib
import os
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path


def tree_of(pid: int) -> list[int]:
    """Returns a process and all below it."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    found = [pid]
    for file in children:
        try:
            for child in file.read_text().split():
                found += tree_of(int(child))
        except OSError:
            continue
    return found


def are_gone(pids: Iterable[int]) -> bool:
    """Returns whether none of these processes is left."""
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def processes_with(word: str) -> list[int]:
    """Returns every process of this machine, zombies excepted, with a word in its command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if word in (entry / "cmdline").read_bytes().decode(errors="replace"):
                    found.append(int(entry.name))
    return found


@contextlib.contextmanager
def without_descriptors(spare: int = 0) -> Iterator[None]:
    """Leaves this process no descriptor to open, or so few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = [os.dup(0) for _ in range(spare + 1)]
    for descriptor in free:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[-1], hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
