import struct
from dataclasses import replace
from pathlib import Path

import pytest

from agenthost.core.sandbox import policy as sandbox_policy
from agenthost.proof import probe as sandbox_probe
from agenthost.proof.probe import prove, prove_host
from agenthost.sandbox.find import find_sandbox
from tests.kit.attempts import replace_bwrap

pytestmark = pytest.mark.processes


async def test_this_machines_sandbox_is_proven_by_trying(tmp_path: Path) -> None:
    """Keeps E6."""
    sandbox, report = await prove_host(tmp_path)
    assert [probe for probe in report.probes if not probe.passed] == []
    assert (report.available, report.reason) == (True, "")
    assert report.mechanism.startswith("bubblewrap ")
    assert len(report.probes) >= 40
    assert sandbox is not None
    assert list((tmp_path / "probes").iterdir()) == []


# Each is a way to weaken the arguments that a careless change might take.
WEAKENED = {
    "a writable workspace": lambda args: _replace(args, ("--ro-bind", "{tree}"), ("--bind", "{tree}")),
    "the host's network": lambda args: _drop(args, "--unshare-net"),
    "the host's processes": lambda args: _drop(args, "--unshare-pid"),
    "the host's ipc": lambda args: _drop(args, "--unshare-ipc"),
    "the host's name": lambda args: _drop(_replace(args, ("--hostname", "sandbox"), ()), "--unshare-uts"),
    "all of the host to read": lambda args: ("--ro-bind", "/", "/", *args),
    "kept capabilities": lambda args: _replace(args, ("--cap-drop", "ALL"), ("--cap-add", "CAP_SYS_ADMIN")),
    "all system calls": lambda args: _replace(args, ("--seccomp", "{filter}"), ()),
    "a writable root": lambda args: _replace(args, ("--remount-ro", "/"), ()),
    "a writable /dev": lambda args: _replace(args, ("--remount-ro", "/dev"), ()),
}


@pytest.mark.parametrize("weakness", WEAKENED)
async def test_a_weakened_sandbox_is_not_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weakness: str) -> None:
    """Keeps E6: the proof can fail. What the shim sees from outside refuses; what it does not see, the attempts find."""
    whole = sandbox_policy.bwrap_arguments
    monkeypatch.setattr(sandbox_policy, "bwrap_arguments", lambda policy: WEAKENED[weakness](whole(policy)))
    report = await prove(await find_sandbox(tmp_path), tmp_path)
    assert not report.available
    assert report.reason


LETS_ALL_THROUGH = struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000)


async def test_a_filter_that_lets_all_through_is_found_out(tmp_path: Path) -> None:
    """Keeps E6."""
    report = await prove(replace(await find_sandbox(tmp_path), syscall_filter=LETS_ALL_THROUGH), tmp_path)
    assert not report.available
    assert "set up an io_uring" in report.reason


async def test_user_namespaces_are_closed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps E3: the filter and bubblewrap's own limit each do it alone."""
    sandbox = replace(await find_sandbox(tmp_path), syscall_filter=LETS_ALL_THROUGH)
    assert "make a user namespace" not in (await prove(sandbox, tmp_path)).reason
    whole = sandbox_policy.bwrap_arguments
    monkeypatch.setattr(sandbox_policy, "bwrap_arguments", lambda policy: _drop(whole(policy), "--disable-userns"))
    assert "make a user namespace" in (await prove(sandbox, tmp_path)).reason
    assert (await prove(await find_sandbox(tmp_path), tmp_path)).available


def _drop(args: tuple[str, ...], option: str) -> tuple[str, ...]:
    return _replace(args, (option,), ())


def _replace(args: tuple[str, ...], old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    at = next(at for at in range(len(args)) if args[at : at + len(old)] == old)
    return (*args[:at], *new, *args[at + len(old) :])


async def test_a_forbidden_namespace_is_explained_and_nothing_runs(tmp_path: Path) -> None:
    """Keeps E2."""
    tmp_path.chmod(0o755)
    script = "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n"
    sandbox = replace_bwrap(await find_sandbox(tmp_path), tmp_path / "bin", script)
    report = await prove(sandbox, tmp_path)
    assert not report.available
    assert report.reason.startswith("bwrap: No permissions to create new namespace. ")
    assert not sandbox.spawn_log.exists()


async def test_a_proof_whose_sandbox_is_killed_proves_nothing(tmp_path: Path) -> None:
    """Keeps E6: what must be tried again is no proof until it was."""
    tmp_path.chmod(0o755)
    report = await prove(
        replace_bwrap(await find_sandbox(tmp_path), tmp_path / "bin", "#!/bin/sh\nkill -9 $$\n"), tmp_path
    )
    assert not report.available
    assert report.reason.endswith("without a message (signal 9)")


async def test_a_proof_that_does_not_end_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps E6."""
    stuck = tmp_path / "probe"
    stuck.mkdir(mode=0o755)
    (stuck / "attempts.py").write_text("import time\ntime.sleep(100)\n")
    monkeypatch.setattr(sandbox_probe, "PROBE", stuck)
    monkeypatch.setattr(sandbox_probe, "PROBE_SECONDS", 0.5)
    report = await prove(await find_sandbox(tmp_path), tmp_path)
    assert not report.available
    assert "was not complete (timeout" in report.reason


async def test_no_bubblewrap_means_no_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps E2."""
    monkeypatch.setattr("agenthost.sandbox.find._candidates", lambda: [(tmp_path, "bwrap")])
    sandbox, report = await prove_host(tmp_path)
    assert sandbox is None
    assert not report.available
    assert "apt install bubblewrap" in report.reason


async def test_an_old_or_privileged_bubblewrap_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, words in (("old", "bubblewrap 0.4.1"), ("suid", "bubblewrap 0.11.0"), ("odd", "hello")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {words}\n")
        (tmp_path / name).chmod(0o4755 if name == "suid" else 0o755)
    monkeypatch.setattr(
        "agenthost.sandbox.find._candidates", lambda: [(tmp_path, name) for name in ("old", "suid", "odd")]
    )
    _, report = await prove_host(tmp_path)
    assert "old is version 0.4.1" in report.reason
    assert "suid is setuid" in report.reason
    assert "odd: it does not run" in report.reason
