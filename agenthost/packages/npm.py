"""Installs and removes the packages of an agent, with the machine's npm. Only what the shipped lock file names gets in.

No script of a package runs: npm gets `--ignore-scripts`. What such scripts would do, package.json says under `agenthost`: `links`
from the prefix into its packages, and `executables` to mark. `{arch}` stands for npm's name of this processor, `{machine}` for the
kernel's.
"""

import asyncio
import contextlib
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from agenthost.errors import ConfigurationError, ProgramError
from agenthost.packages.prefix import MARKER, SHIPPED, installed_lock, prefix_of, shipped_lock
from servicekit import programs

INSTALL_SECONDS = 1800.0
MAX_OUTPUT_BYTES = 1024 * 1024
ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}
# What npm needs to reach its registry; keys of models are none of its business.
PASSED_ON = ("HOME", "PATH", "LANG", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
PREFIXES_PASSED_ON = ("npm_config_", "http_proxy", "https_proxy", "no_proxy")


async def install(name: str) -> Path:
    """Installs an agent in a folder of its own and returns that; raises ConfigurationError that says what to do."""
    prefix, lock = prefix_of(name), shipped_lock(name)
    if installed_lock(prefix) == lock:
        return prefix
    manifest: Any = json.loads((SHIPPED / name / "package.json").read_bytes())
    architecture = _architecture(name, manifest["agenthost"]["architectures"])
    if shutil.which("npm") is None:
        raise ConfigurationError("npm was not found", hint="install Node.js 20 or newer with npm, then try again")
    fresh = prefix.with_name(f".{name}.{os.getpid()}")
    try:
        fresh.mkdir(parents=True)
        await _fill(fresh, SHIPPED / name)
        await asyncio.to_thread(_finish, fresh, manifest["agenthost"], architecture)
        (fresh / MARKER).write_text(json.dumps({"lock": lock}))
        await asyncio.to_thread(_replace, fresh, prefix)
    except OSError as error:
        raise ConfigurationError(f"cannot install {name} in {prefix}: {error.strerror}: {error.filename}") from error
    finally:
        await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
    return prefix


async def remove(name: str) -> bool:
    """Removes what `install` made; returns whether there was anything. A host that runs must be restarted."""
    prefix = prefix_of(name)
    try:
        return await asyncio.to_thread(_delete, prefix)
    except OSError as error:
        raise ConfigurationError(f"cannot remove {prefix}: {error.strerror}: {error.filename}") from error


def _architecture(name: str, known: list[str]) -> str:
    here = ARCHITECTURES.get(platform.machine(), platform.machine())
    if here not in known or platform.libc_ver()[0] != "glibc":
        machines = " or ".join(known)
        raise ConfigurationError(f"{name} is packaged for Linux with glibc on {machines}, and this is {here}")
    return here


async def _fill(folder: Path, shipped: Path) -> None:
    for file in ("package.json", "package-lock.json"):
        shutil.copyfile(shipped / file, folder / file)
    command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
    try:
        result = await programs.run(
            *command, env=_environment(), cwd=folder, timeout_seconds=INSTALL_SECONDS, max_output_bytes=MAX_OUTPUT_BYTES
        )
    except ProgramError as error:
        raise ConfigurationError(str(error), hint="does npm reach its registry? try: npm ping") from error
    if result.returncode != 0:
        raise ConfigurationError(
            f"npm ci failed: {result.complaint}", hint="does npm reach its registry? try: npm ping"
        )


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.lower().startswith(PREFIXES_PASSED_ON)
    }


def _finish(folder: Path, steps: Any, architecture: str) -> None:
    """Does what the packages' own scripts would do."""
    packages = Path("node_modules")
    for link, target in steps["links"].items():
        place, program = folder / link, packages / _named(target, architecture)
        place.parent.mkdir(exist_ok=True)
        (folder / program).chmod(0o755)
        place.symlink_to(Path("..") / program)
    for path in steps["executables"]:
        (folder / packages / _named(path, architecture)).chmod(0o755)


def _named(path: str, architecture: str) -> str:
    return path.replace("{arch}", architecture).replace("{machine}", platform.machine())


def _replace(fresh: Path, prefix: Path) -> None:
    """Puts a whole folder in the place of an older one. Agents that run keep the old one open until they end."""
    old = prefix.with_name(f".{prefix.name}.{os.getpid()}.old")
    if prefix.exists() or prefix.is_symlink():
        prefix.rename(old)
    fresh.rename(prefix)
    with contextlib.suppress(OSError):
        _delete(old)


def _delete(place: Path) -> bool:
    """Deletes a folder, its marker first, or a link in its place; returns whether there was one. What the link names stays."""
    was_there = place.exists() or place.is_symlink()
    if place.is_dir() and not place.is_symlink():
        (place / MARKER).unlink(missing_ok=True)
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    return was_there
