"""docs/lan.md as it stands, on four machines of a network of its own. Keeps K3 and J5."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.docs.pages import page
from tests.kit.repositories import UserRepository
from tests.kit.waiting import wait_until
from tests.lan.network import Network, NetworkRefusedError

ADDRESSES = {"study": "192.168.1.2", "gpu1": "192.168.1.5", "gpu2": "192.168.1.6", "laptop": "192.168.1.50"}
SECONDS = 90
CANNOT_FAIL = "def load(text):\n    assert (text, 'nothing to load')\n    return text\n"
LAN = page("lan")

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(240)]


@dataclass
class Machines:
    """The page's machines, each with a home of its own."""

    folder: Path
    network: Network
    serving: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def home(self, machine: str) -> Path:
        home = self.folder / machine
        home.mkdir(exist_ok=True)
        return home

    def type(self, machine: str, lines: str) -> str:
        """Types lines that must succeed; returns what they print."""
        done = subprocess.run(
            self._shell(machine, lines),
            **self._place(machine),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, (lines, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def start(self, machine: str, line: str) -> Path:
        """Starts a service, and leaves it running; returns the file of what it says."""
        log = self.home(machine) / "log"
        with log.open("wb") as said:
            service = subprocess.Popen(
                self._shell(machine, f"exec {line}"), **self._place(machine), stdout=said, stderr=said
            )
        self.serving.append(service)
        return log

    def stop(self) -> None:
        for service in reversed(self.serving):
            service.send_signal(signal.SIGINT)
            service.wait(30)

    def _shell(self, machine: str, lines: str) -> list[str]:
        return [*self.network.entrance(machine), shutil.which("bash") or "/bin/bash", "-euc", lines]

    def _place(self, machine: str) -> dict[str, object]:
        home = self.home(machine)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "CONDUCTOR_"))}
        return {"cwd": home, "env": {**kept, "HOME": str(home), "PATH": path}, "stdin": subprocess.DEVNULL}


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    with ExitStack() as stack:
        try:
            network = stack.enter_context(Network("walk", ADDRESSES))
        except NetworkRefusedError as refused:
            pytest.skip(f"this machine makes no networks: {refused}")
        made = Machines(tmp_path, network)
        stack.callback(made.stop)
        yield made


def test_the_page_leads_from_nothing_to_a_report(machines: Machines) -> None:
    machines.type("study", LAN.block("sh study"))
    for name, machine in (("gpu1.agenthost", "gpu1"), ("gpu2.agenthost", "gpu2"), ("ann.client", "laptop")):
        (machines.home("study") / name).rename(machines.home(machine) / name)
    for machine in ("gpu1", "gpu2"):
        *before, serve = LAN.block(f"sh {machine}").splitlines()
        machines.type(machine, "\n".join(before))
        log = machines.start(machine, serve)
        wait_until(lambda: "host_started" in log.read_text())  # noqa: B023
    log = machines.start("study", LAN.block("sh serve"))
    wait_until(lambda: "service_started" in log.read_text())
    UserRepository.make(machines.home("laptop") / "project", **{"app.py": CANNOT_FAIL})
    told = machines.type("laptop", LAN.block("sh laptop"))

    assert "gpu1" in told
    assert "gpu2" in told
    assert "1 finding, placed" in told
    assert "app.py" in told
    asked = machines.type("laptop", "conductor --bundle ann.client --output json runs")
    assert '"createdBy":"certificate:ann"' in asked.replace(" ", "")
