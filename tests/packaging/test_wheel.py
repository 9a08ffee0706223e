"""The wheel works by itself, in an environment that has nothing but what it asks for. Keeps K14."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.docs.pages import README, page

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    "mypy",
    "pytest",
    "ruff",
    "hypothesis",
    "import-linter",
    "buf-bin",
    "grpcio-tools",
    "grpcio-status",
    "mypy-protobuf",
)
NO_INDEX = re.compile(
    r"No matching distribution found|Could not fetch URL|connection broken by|Temporary failure in name"
)
# Programs that run by themselves in the sandbox or as a process; an import would start them.
PROGRAMS = ("agenthost.agents", "agenthost.proof.escape_program", "__main__")
# What only an extra brings: a module that needs it says so, and no other module imports that one at its head.
OF_EXTRAS = ("opentelemetry", "prometheus_client", "zeroconf", "ifaddr", "psycopg", "obstore")
IMPORTS = f"""
import importlib, pkgutil, sys
import agenthost, conductor, servicekit
count = 0
for package in (conductor, agenthost, servicekit):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".", onerror=sys.exit):
        if not any(name in found.name for name in {PROGRAMS!r}):
            try:
                importlib.import_module(found.name)
            except ModuleNotFoundError as error:
                if error.name.partition(".")[0] not in {OF_EXTRAS!r}:
                    raise
            count += 1
print(count)
"""

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.timeout(180)]


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    environment["XDG_CONFIG_HOME"] = str(cwd / "config")
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=150, check=False)


def pip(*arguments: str | Path, cwd: Path) -> None:
    """Calls the pip that runs these tests; a machine without a way to a package index skips them and says so."""
    done = run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments, cwd=cwd)
    if done.returncode and (told := NO_INDEX.search(done.stderr)):
        pytest.skip(f"pip reaches no package index here ({told[0]}), so the wheel is not tried")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the wheel from a copy: a build writes generated code, and other tests may read it now."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "source" / name)
    pip("wheel", "--no-deps", "--wheel-dir", folder, folder / "source", cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """Installs the wheel and what it requires into a new environment; returns the folder of its commands."""
    environment = wheel.parent / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip("--python", environment / "bin" / "python", "install", "--no-compile", wheel, cwd=wheel.parent)
    return environment / "bin"


def test_the_wheel_brings_every_file_with_licence_and_catalogue_and_no_test(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    source = wheel.parent / "source"
    written = [path for folder in ("conductor", "agenthost", "servicekit") for path in (source / folder).rglob("*")]
    metadata = next(name for name in names if name.endswith("/METADATA"))
    text = zipfile.ZipFile(wheel).read(metadata).decode()

    assert "License-Expression: Apache-2.0" in text
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert {"conductor/catalogue/survey.yaml", "conductor/catalogue/contracts/evidence.md"} <= set(names)
    files = {path.relative_to(source).as_posix() for path in written if path.is_file() and path.suffix != ".pyc"}
    assert files - set(names) == set()
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"conductor", "agenthost", "servicekit"}
    required = re.findall(r"^Requires-Dist: ([\w-]+)(?!.*extra ==)", text, re.MULTILINE)
    assert required
    assert set(required) & set(TOOLS) == set()


def test_both_commands_work_without_a_tool_of_development(installed: Path, tmp_path: Path) -> None:
    flow = tmp_path / "owners.yaml"
    flow.write_text(page("flows").files("flow")["owners.yaml"])
    listing = "from importlib.metadata import distributions as d; print(*(each.name for each in d()))"
    there = run(installed / "python", "-c", listing, cwd=tmp_path)

    assert "grpcio" in there.stdout.split()
    assert set(there.stdout.split()) & set(TOOLS) == set()
    for program in ("conductor", "agenthost"):
        assert "serve" in run(installed / program, "--help", cwd=tmp_path).stdout
        assert run(installed / program, "--version", cwd=tmp_path).stdout.startswith(f"{program}, version ")
    assert run(installed / "conductor", "validate", flow, cwd=tmp_path).returncode == 0


def test_every_module_can_be_imported_without_a_tool_of_development(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "python", "-c", IMPORTS, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 150


def test_the_services_of_the_wheel_run_the_flow_that_it_brings(installed: Path, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "app.py").write_text("def load(text):\n    try:\n        return int(text)\n    except:\n        pass\n")
    demo = next(line for line in README.blocks("sh") if "conductor demo" in line).splitlines()[-1].split()
    done = run(installed / demo[0], *demo[1:-1], code, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "1 file (Python 1)" in done.stdout
    assert "pip install 'conductor-agenthost[survey]'" in done.stdout
