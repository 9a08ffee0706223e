"""Makes environments for the systems that we are compared with, below `.cache/`, by pip when they are first needed.

Versions are pinned, so that two runs compare. Where the package index cannot be reached, the benchmark says so and goes on
without; `--short` takes what is there and installs nothing.
"""

import hashlib
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import ROOT

CACHE = ROOT / ".cache" / "benchmarks"
INSTALL_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Peer:
    """Another project's software, and our program that drives it."""

    name: str
    program: Path
    requirements: tuple[str, ...]

    @property
    def python(self) -> Path:
        version = hashlib.sha256("\n".join(self.requirements).encode()).hexdigest()[:12]
        return CACHE / f"{self.program.stem}-{version}" / "bin" / "python"

    def is_there(self, *, is_short: bool) -> str:
        """Makes the environment where there is none. Returns why there is still none; empty where there is one."""
        done = self.python.parent.parent / ".complete"
        if done.exists():
            return ""
        if is_short:
            return "its environment is not made yet; the long form makes it"
        print(f"bench: installing {', '.join(self.requirements)} below {CACHE}", file=sys.stderr)
        venv.create(self.python.parent.parent, with_pip=True, clear=True)
        command = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *self.requirements]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except subprocess.CalledProcessError as error:
            return f"pip could not install it: {error.stderr.strip().splitlines()[-1:]}"
        except subprocess.TimeoutExpired:
            return f"pip took more than {INSTALL_SECONDS} s"
        done.touch()
        return ""
