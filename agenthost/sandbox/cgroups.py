"""Finds where this host may make control groups, and removes those that an earlier daemon's attempts left.

Groups are made below the daemon's own, never beside it: what bounds the host bounds its agents too. Version 2 needs a delegated
group (systemd: `Delegate=yes`) without other processes, because the kernel lets the daemon divide it only from a leaf. Where there
is none, the result is `None`, and the shim watches memory itself. Blocking, a few files.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agenthost.core.sandbox.control_groups import Version, controllers

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
LEAF = "daemon"
_BOUNDS = ("memory.max", "memory.limit_in_bytes", "pids.max", "cpu.shares")


@dataclass(frozen=True, slots=True)
class CgroupPlace:
    """Where groups are made: for each controller the group above them. The prefix tells apart hosts of one machine."""

    version: Version
    above: Mapping[str, Path]
    prefix: str

    @property
    def divides_processor(self) -> bool:
        """Returns whether attempts' groups have a share of the processor."""
        if self.version is Version.V1:
            return "cpu" in self.above
        try:
            return "cpu" in (self.above[""] / "cgroup.subtree_control").read_text().split()
        except OSError:
            return False

    def name(self, folder: Path) -> str:
        """Returns the name of an attempt's group, by its folder."""
        return f"{self.prefix}{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"


def find_cgroups(data: Path, root: Path = ROOT, own: Path = OWN) -> CgroupPlace | None:
    """Returns the place for groups, after a trial; None where there is none."""
    prefix = f"agenthost-{hashlib.sha256(os.fsencode(data)).hexdigest()[:12]}-"
    own_groups = {
        name: path.strip().lstrip("/")
        for _, names, path in _lines(own)
        for name in names.removeprefix("name=").split(",")
    }
    if {"memory", "pids"} <= own_groups.keys():
        above = {name: root / name / own_groups[name] for name in controllers(Version.V1)}
        place = CgroupPlace(Version.V1, above | _with_share(root, own_groups, prefix), prefix)
    elif (root / "cgroup.controllers").exists() and (base := _delegated(root / own_groups.get("", ""))):
        place = CgroupPlace(Version.V2, {"": base}, prefix)
    else:
        return None
    return place if _can_make(place) else None


def _with_share(root: Path, own_groups: Mapping[str, str], prefix: str) -> dict[str, Path]:
    """Returns version 1's place for shares of the processor, where this host may divide it."""
    share = {"cpu": root / "cpu" / own_groups.get("cpu", "")}
    can_divide = "cpu" in own_groups and _can_make(CgroupPlace(Version.V1, share, prefix))
    return share if can_divide else {}


def sweep(place: CgroupPlace, alive: Callable[[], Iterable[Path]]) -> tuple[int, int]:
    """Kills and removes the groups of shims that are gone; returns how many went, and how many did not.

    The groups are listed before the living shims: so a group that is made in between is neither killed nor removed.
    """
    groups = [group for above in place.above.values() for group in above.glob(f"{place.prefix}*")]
    if not groups:
        return 0, 0
    kept = {place.name(folder) for folder in alive()} | {_trial(place)}
    gone = [_remove(group) for group in groups if group.name not in kept]
    return sum(gone), len(gone) - sum(gone)


def _remove(group: Path) -> bool:
    try:
        _kill(group)
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # a process in it is still dying
        return False
    return True


def _lines(own: Path) -> list[list[str]]:
    try:
        return [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return []


def _delegated(group: Path) -> Path | None:
    """Divides a group that is delegated to this host, and returns it; None where it is not."""
    if group.name == LEAF:
        _divide_processor(group.parent)
        return group.parent
    try:
        if (group / "cgroup.procs").read_text().split() not in ([], [str(os.getpid())]):
            return None
        (group / LEAF).mkdir(exist_ok=True)
        (group / LEAF / "cgroup.procs").write_text("0")
        _divide_processor(group)
        (group / "cgroup.subtree_control").write_text("+memory +pids")
    except OSError:
        return None
    return group


def _divide_processor(group: Path) -> None:
    """Divides the processor too, where that is delegated: systemd's own default is memory and processes alone."""
    with contextlib.suppress(OSError):
        (group / "cgroup.subtree_control").write_text("+cpu")


def _trial(place: CgroupPlace) -> str:
    return f"{place.prefix}trial-{os.getpid()}"


def _can_make(place: CgroupPlace) -> bool:
    for above in place.above.values():
        trial = above / _trial(place)
        try:
            trial.mkdir()
            is_good = any((trial / name).exists() for name in _BOUNDS)
            trial.rmdir()
        except OSError:
            return False
        if not is_good:
            return False
    return True


def _kill(group: Path) -> None:
    """Kills what is left in a group whose shim is gone. The kernel has killed most of it with the shim."""
    if (group / "cgroup.kill").exists():
        (group / "cgroup.kill").write_text("1")
