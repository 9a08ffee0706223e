"""The command line of a host, in a process of its own: help, doctor, and settings that are refused by name."""

import subprocess
import sys
from pathlib import Path

import pytest

from agenthost.cli import main
from servicekit import logs

pytestmark = pytest.mark.processes


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agenthost.cli", *arguments], capture_output=True, text=True, check=False
    )


def test_doctor_says_what_to_do_next() -> None:
    done = command("doctor")

    assert done.returncode == 0, done.stdout
    assert "✔ sandbox: bubblewrap" in done.stdout
    assert "✔ agent scripted" in done.stdout
    assert "  ✔ write /workspace: Read-only file system" in done.stdout
    assert "agenthost serve --listen" in done.stdout


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("colour = 1", "'colour' is not a setting; there are agents_dirs, "),
        ("slot = 1", "'slot' is not a setting: did you mean 'slots'? There are agents_dirs, "),
        ("slots = 0", "slots"),
        ("slots = 'many'", "slots"),
        ("[limits]\ntimeout_seconds = -1", "limits.timeout_seconds"),
        ("[limits]\nspeed = 1", "limits.speed"),
        ("[limits]\nmemory_bytes = 1000", "limits.memory_bytes is 1000: it must be at least"),
        ("[limits]\nmemory_bytes = 1e9", "limits.memory_bytes is 1000000000.0: it must be a whole number"),
        ("[limits]\nsnapshots_bytes = 0", "limits.snapshots_bytes"),
        ("[limits]\nsnapshots_unused_seconds = 1e12", "limits.snapshots_unused_seconds"),
        ("[keeping]\nsnapshots_bytes = 5", "'keeping' is not a setting"),
        ("name = ", "config.toml"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_starts(
    tmp_path: Path, content: str, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeps K5."""
    # The command is for a process of its own: what it would change for all of this one, it must not come to.
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")
    monkeypatch.setattr(logs, "configure_logs", lambda *_: pytest.fail("the host begins to serve"))
    (tmp_path / "config.toml").write_text(content)
    flags = ["--listen", "127.0.0.1:0", "--data", str(tmp_path / "data"), "--config", str(tmp_path / "config.toml")]

    assert main(["serve", *flags, *([] if "name" in content else ["--name", "x"])]) == 1
    assert text in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_folder_of_specs_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Keeps K5."""
    flags = [
        "--listen",
        "127.0.0.1:0",
        "--data",
        str(tmp_path / "data"),
        "--name",
        "x",
        "--agents-dir",
        "/no/such/folder",
    ]
    done = command("serve", *flags)

    assert done.returncode == 1
    assert "--agents-dir" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_needs_no_grpc() -> None:
    """The start of the command line is instant: what takes time is imported by the command that needs it."""
    code = "import sys; from agenthost.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "serve" in done.stdout
    assert not {"grpc", "google.protobuf", "asyncio", "structlog"} & set(done.stderr.split())
