"""Describes an attempt to its shim: a Launch, and the files in the attempt's folder that it becomes.

A folder serves once: config.json is created exclusively, and everything is on disk before anything starts.
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from agenthost.core.admission.order import Limits
from agenthost.core.models.gateway_rules import PORT
from agenthost.core.sandbox import control_groups as cgroup_policy
from agenthost.core.sandbox import policy as sandbox_policy
from agenthost.core.sandbox.policy import Policy, Resources
from agenthost.errors import ExecutionExistsError
from agenthost.sandbox.cgroups import CgroupPlace
from agenthost.sandbox.find import Sandbox

DEFAULT_LIMITS, DEFAULT_RESOURCES = Limits(), Resources()


@dataclass(frozen=True, slots=True)
class Launch:
    """All that a shim must know about its attempt."""

    execution: str
    argv: tuple[str, ...]  # inside the sandbox
    tree: Path  # seen at /workspace
    fingerprint: str = ""  # that the tree must have when the agent is let go; not looked at where empty
    held: Path | None = None  # the snapshot's folder, which the shim holds for as long as it lives
    history: Path | None = None  # a git directory, seen at /history.git
    install: Path | None = None  # seen at /opt/agent
    own_paths: tuple[Path, ...] = ()  # seen, read-only, at their own paths: runtimes
    mounts: Mapping[str, Path] = field(default_factory=dict)  # seen, read-only, below /opt by these names
    pins: Mapping[str, tuple[int, int]] = field(
        default_factory=dict
    )  # device and inode of what must lie at these places
    files: Mapping[str, str] = field(default_factory=dict)  # written into its home, by paths below that
    hidden: tuple[tuple[str, bool], ...] = ()  # names at the root of the tree, covered; whether each is a folder
    remarks: tuple[str, ...] = ()  # what was known of the agent at its launch; they stand before the shim's checks
    environment: Mapping[str, str] = field(default_factory=dict)
    prompt: bytes = b""
    prompt_is_file: bool = False  # /run/prompt instead of stdin
    model: str = ""  # the endpoint behind its network's one door; no network where empty
    keeps_stdin: bool = False  # open after the prompt, for inputs
    turns: int = 1  # with more, each input is the prompt of a turn
    setup_seconds: float = 20.0  # until the sandbox is complete, or given up
    limits: Limits = DEFAULT_LIMITS
    resources: Resources = DEFAULT_RESOURCES


def prepare(folder: Path, launch: Launch, sandbox: Sandbox) -> None:
    """Writes the shim's files before it starts. That the folder was used must survive a power failure."""
    try:
        _write(folder / "config.json", json.dumps(_config(folder, launch, sandbox), indent=1).encode())
    except FileExistsError as error:
        raise ExecutionExistsError(f"{folder} has served an attempt already") from error
    _write(folder / "prompt", launch.prompt)
    _write(folder / "spool", b"")
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def _write(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:  # noqa: PTH123
        file.write(content)


def _config(folder: Path, launch: Launch, sandbox: Sandbox) -> dict[str, object]:
    policy = _policy(launch, sandbox)
    sources = {"bwrap": sandbox.folder, "tree": launch.tree, "history": launch.history, "install": launch.install}
    sources |= {f"path{at}": path for at, path in enumerate(launch.own_paths)}
    sources |= {f"mount{at}": path for at, path in enumerate(launch.mounts.values())}
    return {
        "execution": launch.execution,
        "argv": launch.argv,
        "mechanism": sandbox.mechanism,
        "policy_digest": sandbox_policy.digest(policy),
        "bwrap": sandbox.program,
        "uid": sandbox.uid,
        "arguments": sandbox_policy.bwrap_arguments(policy),
        "command": sandbox_policy.command(policy, launch.argv),
        "cgroup": _cgroup(folder, launch.resources, sandbox.cgroups),
        "rlimits": sandbox_policy.rlimits(policy),
        "filter": base64.b64encode(policy.syscall_filter).decode(),
        "texts": sandbox_policy.texts(policy),
        "writable": sandbox_policy.WRITABLE,
        "pins": dict(launch.pins),
        "remarks": launch.remarks,
        "sources": {name: str(path) for name, path in sources.items() if path is not None},
        "fingerprint": launch.fingerprint,
        "spawn_log": str(sandbox.spawn_log),
        "model": launch.model,
        "model_port": PORT,
        "prompt_is_file": launch.prompt_is_file,
        "keeps_stdin": launch.keeps_stdin,
        "turns": launch.turns,
        "setup_seconds": launch.setup_seconds,
        **asdict(launch.limits),
        "grace_seconds": launch.limits.cancel_grace_seconds,
        "memory_bytes": launch.resources.memory_bytes,
    }


def _cgroup(folder: Path, resources: Resources, place: CgroupPlace | None) -> dict[str, object]:
    if place is None:
        return {}
    settings = cgroup_policy.settings(place.version, resources, place.above)
    return {
        "version": place.version,
        "folders": {name: str(above / place.name(folder)) for name, above in place.above.items()},
        "settings": [(each.controller, each.file, each.value, each.needed) for each in settings],
    }


def _policy(launch: Launch, sandbox: Sandbox) -> Policy:
    return Policy(
        layout=sandbox.layout,
        own_paths=tuple(str(path) for path in launch.own_paths),
        environment=launch.environment,
        syscall_filter=sandbox.syscall_filter,
        has_history=launch.history is not None,
        has_install=launch.install is not None,
        has_prompt_file=launch.prompt_is_file,
        mounts=tuple(launch.mounts),
        hidden=launch.hidden,
        files=launch.files,
        model=launch.model,
        resources=launch.resources,
    )
