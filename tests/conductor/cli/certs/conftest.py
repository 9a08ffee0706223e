"""A machine on which a pool was made."""

from pathlib import Path

import pytest

from tests.conductor.cli.certs.machine import Machine


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path, capsys)
    for module in ("pool_folder", "issuing", "listing"):
        monkeypatch.setattr(f"conductor.cli.commands.certs.{module}.now", lambda: made.now)
    made.certs("init", "--address", "192.168.1.2", "--pool", "home")
    return made
