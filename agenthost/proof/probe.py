"""Proves the sandbox by trying to break out of it: lays bait on the host, and runs a program inside that goes for it.

No proof, no run. The proof has a wall limit, and running out of it is no proof. Nothing is mounted for it: the program comes on the
command line of a Python, so the agent's own sandbox is tried.
"""

import asyncio
import contextlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

from agenthost.agent_specs import Agent
from agenthost.attempt.launch import Launch
from agenthost.attempt.process import AttemptProcess
from agenthost.attempt.records import Status
from agenthost.attempt.request import launch_of_agent
from agenthost.core.admission.analyzers import PROGRAM_FOLDER
from agenthost.core.admission.order import Limits
from agenthost.core.output.spool import RecordKind, SpoolReader
from agenthost.core.sandbox.remedy import SETTINGS, explain
from agenthost.core.sandbox.report import Probe, SandboxReport
from agenthost.errors import ReadOnlyUnavailableError, StatusError
from agenthost.sandbox.find import Sandbox, find_sandbox, python_runtime

PROBE = Path(__file__).parent / "escape_program"
PROBE_SECONDS = 20.0  # of the program inside
PROOF_SECONDS = 45.0  # of all of it, the set-up of the sandbox included
LEAST_ATTEMPTS = 40  # fewer lines than this mean that the program broke
MAX_OUTPUT_BYTES = 1024 * 1024
PROGRAM = "program/"  # as the name of a mount begins that is one program
NO_AGENT = Launch(execution="", argv=(), tree=Path())


def occupant(agent: Agent) -> Launch:
    """Returns what a sandbox holds for this agent, without what the agent itself is told; raises AgentUnavailableError."""
    launch = launch_of_agent(agent, {}, "")
    return replace(launch, argv=(), prompt=b"", prompt_is_file=False, keeps_stdin=False, remarks=())


def proven_shape(occupant: Launch) -> Launch:
    """Returns what a proof holds for: sandboxes that differ only by which one program they hold, read-only, share it."""
    mounts = {PROGRAM if name.startswith(PROGRAM) else name: path for name, path in occupant.mounts.items()}
    mounts |= {PROGRAM: Path(PROGRAM)} if PROGRAM in mounts else {}
    pins = {place: pin for place, pin in occupant.pins.items() if not place.startswith(PROGRAM_FOLDER)}
    return replace(occupant, mounts=mounts, pins=pins)


async def prove(sandbox: Sandbox, data: Path, occupant: Launch = NO_AGENT) -> SandboxReport:
    """Tries the sandbox that an occupant would have. If anything goes wrong meanwhile, nothing is proven."""
    try:
        async with asyncio.timeout(PROOF_SECONDS):
            return await _try(sandbox, data, occupant)
    except TimeoutError:
        reason = f"The proof was not complete within {PROOF_SECONDS:g} s. Try again when the machine is less busy."
    except (OSError, ValueError, TypeError, StatusError) as error:
        reason = f"The proof failed: {error}."
    return SandboxReport(available=False, reason=reason, mechanism=sandbox.mechanism)


Proof = Callable[[Sandbox, Path, Launch], Awaitable[SandboxReport]]


async def prove_host(data: Path, proof: Proof = prove) -> tuple[Sandbox | None, SandboxReport]:
    """Finds this machine's sandbox and proves it; the sandbox is None where there is none."""
    try:
        sandbox = await find_sandbox(data)
    except ReadOnlyUnavailableError as error:
        return None, SandboxReport(available=False, reason=f"{error}. {error.hint}", mechanism="none")
    return sandbox, await proof(sandbox, data, NO_AGENT)


async def _try(sandbox: Sandbox, data: Path, occupant: Launch) -> SandboxReport:
    """Tries it in a folder of its own below `data`, which is removed afterwards."""
    folder = data / "probes" / secrets.token_hex(6)
    with _Bait.lay(folder) as bait:
        launch = _launch(folder, bait, occupant)
        # Its own log: the host's tells how often agents ran.
        confined = replace(sandbox, spawn_log=folder / "spawns.jsonl")
        async with await AttemptProcess.spawn(folder / "attempt", launch, confined) as attempt:
            await attempt.ended()
            status, probes = attempt.status(), _read(attempt)
        probes += bait.look()
    return _judge(sandbox, status, tuple(probes))


def _judge(sandbox: Sandbox, status: Status | None, probes: tuple[Probe, ...]) -> SandboxReport:
    failed = [probe for probe in probes if not probe.passed]
    if status is None or status.cause in {"sandbox_refused", "set_up_interrupted"}:
        complaint = status.message if status else "the program that sets the sandbox up was killed"
        reason = explain(complaint, _settings(), in_container=_in_container())
    elif status.cause != "exited" or status.exit_code != 0 or len(probes) < LEAST_ATTEMPTS:
        reason = f"The proof was not complete ({status.cause}, exit code {status.exit_code}, {len(probes)} attempts)."
    elif failed:
        reason = f"The sandbox let through: {', '.join(probe.name for probe in failed)}."
    else:
        reason = ""
    return SandboxReport(available=not reason, reason=reason, mechanism=sandbox.mechanism, probes=probes)


def _launch(folder: Path, bait: "_Bait", occupant: Launch) -> Launch:
    program = (PROBE / "attempts.py").read_text()
    return replace(
        occupant,
        execution=f"probe-{folder.name}",
        argv=(str(Path(sys.executable).resolve()), "-I", "-S", "-c", program),
        tree=folder / "tree",
        own_paths=tuple(dict.fromkeys((*occupant.own_paths, *python_runtime()))),
        prompt=json.dumps(bait.described).encode(),
        limits=Limits(timeout_seconds=PROBE_SECONDS, cancel_grace_seconds=0, max_output_bytes=MAX_OUTPUT_BYTES),
    )


def _read(attempt: AttemptProcess) -> list[Probe]:
    pieces = SpoolReader().feed(attempt.read_spool(0, attempt.spool_size()))
    said = b"".join(piece.data for piece in pieces if piece.kind == RecordKind.STDOUT)
    return [Probe(**json.loads(line)) for line in said.splitlines()]


class _Bait:
    """Things on the host that are worth taking, with proof that they could be taken from outside."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "canary"
        self._tree = folder / "tree"
        self._abstract = f"agenthost-{folder.name}"
        self._listeners: list[socket.socket] = []

    @classmethod
    @contextlib.contextmanager
    def lay(cls, folder: Path) -> Iterator["_Bait"]:
        """Lays the bait; removes it, with the folder, in the end."""
        bait = cls(folder)
        (folder / "attempt").mkdir(parents=True, mode=0o700)
        bait._tree.mkdir()
        (bait._tree / "file").write_text("read me\n")
        bait._file.write_text("a secret of the host\n")
        for path, mode in ((folder, 0o755), (bait._tree, 0o755), (bait._tree / "file", 0o644), (bait._file, 0o644)):
            path.chmod(mode)
        try:
            bait._listen()
            yield bait
        finally:
            for listener in bait._listeners:
                listener.close()
            _remove(folder)

    def _listen(self) -> None:
        stream = socket.create_server(("127.0.0.1", 0))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(stream.getsockname())
        abstract = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        abstract.bind(f"\0{self._abstract}")
        abstract.listen(1)
        self._listeners = [stream, datagrams, abstract]
        for listener in self._listeners:
            listener.settimeout(0)

    @property
    def described(self) -> dict[str, object]:
        """Returns what the program inside is to go for."""
        port = self._listeners[0].getsockname()[1]
        place = {"file": str(self._file), "folder": str(self._file.parent)}
        return {**place, "port": port, "abstract": self._abstract, "pid": os.getpid()}

    def look(self) -> list[Probe]:
        """Returns what can be seen from outside afterwards: whether a socket was reached, or a file changed."""
        visitors = [listener for listener in self._listeners if _was_visited(listener)]
        left = sorted(path.name for path in self._tree.iterdir())
        mode = (self._tree / "file").stat().st_mode & 0o777
        return [
            Probe(
                "from outside: no socket was reached",
                not visitors,
                f"{len(visitors)} of {len(self._listeners)} sockets were reached",
            ),
            Probe(
                "from outside: the snapshot is as it was", left == ["file"] and mode == 0o644, f"{left}, mode {mode:o}"
            ),
            Probe("from outside: the bait could have been taken", self._is_within_reach(), "as the host itself"),
        ]

    def _is_within_reach(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(self._listeners[0].getsockname(), timeout=1):
            return self._file.read_text() != ""
        return False


def _was_visited(listener: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(100)
        else:
            listener.accept()[0].close()
        return True
    return False


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    folder.rmdir()


def _settings() -> dict[str, str]:
    return {name: Path(name).read_text().strip() for name in SETTINGS if Path(name).exists()}


def _in_container() -> bool:
    """Returns whether an engine's file is there, or a variable: of our image, or of Kubernetes, which leaves no file."""
    named = os.environ.get("container") or os.environ.get("KUBERNETES_SERVICE_HOST")  # noqa: SIM112 - podman and systemd write it so
    return bool(named) or Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()
