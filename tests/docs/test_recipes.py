"""The recipes of the docs that need other programs work as they stand: SSH tunnels, buf's generated clients, systemd's units."""

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, page
from tests.kit.services import Service, free_port
from tests.kit.waiting import wait_until

SBIN = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])
GO_PLUGINS = (
    "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
)
FLOW = {
    "title": "Slow",
    "steps": [
        {"id": "slow", "agent": {"agents": ["scripted"], "prompt": "#scripted\nsay one\nsleep 4\nsay two\nsay three"}}
    ],
}

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


def conductor(*arguments: str, address: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conductor.cli", "--address", address, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


@dataclass
class FarMachine:
    """Stands for another machine: an SSH server of the test's own on loopback, with its keys."""

    folder: Path
    port: int

    def tunnel(self, near: Path, far: Path) -> subprocess.Popen[bytes]:
        """Opens the tunnel of docs/hosts.md between these sockets."""
        line = page("hosts").block("sh tunnel").replace("/tmp/gpu1.sock", str(near))
        words = (
            line.replace("/home/you/agenthost.sock", str(far))
            .replace("you@gpu1", f"{getpass.getuser()}@127.0.0.1")
            .split()
        )
        own = ["-F", "/dev/null", "-i", str(self.folder / "key"), "-p", str(self.port)]
        own += ["-o", f"UserKnownHostsFile={self.folder / 'known'}", "-o", "StrictHostKeyChecking=no"]
        return subprocess.Popen([words[0], *own, *words[1:]], stdin=subprocess.DEVNULL)

    def is_listening(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def far_machine(tmp_path: Path) -> Iterator[FarMachine]:
    sshd = shutil.which("sshd", path=SBIN)
    if sshd is None or shutil.which("ssh") is None:
        pytest.skip("no ssh and sshd on this machine (Debian: openssh-server), so the tunnel is not tried")
    folder, port = tmp_path / "ssh", free_port()
    folder.mkdir()
    for name in ("key", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    lines = [f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder / 'host'}", f"PidFile {folder / 'pid'}"]
    lines += [f"AuthorizedKeysFile {folder / 'key.pub'}", "StrictModes no", "UsePAM no", "PermitRootLogin yes"]
    (folder / "config").write_text("\n".join(lines))
    tried = subprocess.run([sshd, "-t", "-f", folder / "config"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"sshd cannot be started here, so the tunnel is not tried: {tried.stderr.strip()}")
    server = subprocess.Popen([sshd, "-D", "-f", folder / "config", "-E", folder / "log"])
    machine = FarMachine(folder, port)
    try:
        wait_until(machine.is_listening)
        yield machine
    finally:
        server.terminate()
        server.wait()


@contextmanager
def _open(tunnel: subprocess.Popen[bytes], near: Path) -> Iterator[None]:
    try:
        wait_until(near.exists)
        yield
    finally:
        tunnel.kill()
        tunnel.wait()


@pytest.mark.long
def test_a_host_behind_an_ssh_tunnel_loses_no_word_when_the_tunnel_breaks(
    tmp_path: Path, far_machine: FarMachine
) -> None:
    far, near, address = tmp_path / "far.sock", tmp_path / "near.sock", f"unix:{tmp_path}/c.sock"
    hosting = ["--listen", f"unix:{far}", "--data", str(tmp_path / "h"), "--name", "gpu1"]
    conducting = ["--listen", address, "--data", str(tmp_path / "c"), "--host", f"gpu1=unix:{near}"]
    services = [
        Service(["agenthost.cli", "serve", *hosting], tmp_path / "h.log"),
        Service(["conductor.cli", "serve", *conducting], tmp_path / "c.log"),
    ]
    (tmp_path / "code").mkdir()
    (tmp_path / "slow.yaml").write_text(json.dumps(FLOW))
    try:
        for service in services:
            service.start()
        with _open(far_machine.tunnel(near, far), near):
            wait_until(lambda: "  ready  " in conductor("hosts", address=address).stdout)
            started = conductor("run", str(tmp_path / "slow.yaml"), str(tmp_path / "code"), "--detach", address=address)
            run = started.stdout.strip()
            wait_until(lambda: "one" in conductor("output", run, "slow", address=address).stdout)
        wait_until(lambda: "  disconnected  " in conductor("hosts", address=address).stdout)
        near.touch()  # what a killed tunnel leaves is in the way of the next
        with _open(far_machine.tunnel(near, far), near):
            ended = conductor("watch", run, address=address)
            said = conductor("output", run, "slow", address=address).stdout
            shown = json.loads(conductor("--output", "json", "show", run, address=address).stdout)
    finally:
        for service in reversed(services):
            if service.process is not None:
                service.stop()

    assert ended.returncode == 0, ended.stderr
    assert said.split() == ["one", "two", "three"]
    assert [len(step["attempts"]) for step in shown["steps"]] == [1]


@pytest.fixture(scope="module")
def go_plugins() -> Path:
    """Returns a folder with Go's plugins, built once through Go's module proxy."""
    folder = ROOT / ".cache" / "bin"
    if not (folder / "protoc-gen-go-grpc").exists():
        if shutil.which("go") is None:
            pytest.skip("no Go on this machine, so its plugins cannot be built: buf's template is not tried")
        for plugin in GO_PLUGINS:
            subprocess.run(["go", "install", plugin], env={**os.environ, "GOBIN": str(folder)}, check=True)
    return folder


def test_bufs_template_generates_a_client_in_go(tmp_path: Path, go_plugins: Path) -> None:
    """The plugins of the other languages are left out: they come from registries that a test does not use."""
    template = page("api").block("yaml buf.gen.yaml")
    kept = [line for line in template.splitlines(keepends=True) if "out:" not in line or "protoc-gen-go" in line]
    (tmp_path / "buf.gen.yaml").write_text("".join(kept).replace("out: go", f"out: {tmp_path}/go"))
    path = os.pathsep.join([str(go_plugins), str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["buf", "generate", "--template", str(tmp_path / "buf.gen.yaml")]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    made = {path.name for path in (tmp_path / "go" / "conductor" / "v1").iterdir()}
    assert {"run_service.pb.go", "run_service_grpc.pb.go"} <= made
    assert not (tmp_path / "go" / "agenthost").exists()
    assert "package conductorv1" in (tmp_path / "go" / "conductor" / "v1" / "run_service.pb.go").read_text()
