"""A git that is killed: the real one, but for the first time that a named command is run."""

import os
import shutil
from pathlib import Path

import pytest

# Its first bytes come through, so that a reader is in the middle of an answer.
SCRIPT = """\
#!/bin/sh
if [ -e {armed} ]; then
  read -r armed < {armed}
  for word in "$@"; do
    if [ "$word" = "$armed" ]; then
      rm {armed}
      {git} "$@" | head -c 30
      kill -KILL $$
    fi
  done
fi
exec {git} "$@"
"""


class KilledGit:
    """Stands before the real git on the way to programs. `arm` it for each kill."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._armed = folder / "armed"
        folder.mkdir()
        program = folder / "git"
        program.write_text(SCRIPT.format(armed=self._armed, git=shutil.which("git")))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def arm(self, command: str) -> None:
        """Has the next git of this command killed."""
        self._armed.write_text(f"{command}\n")

    @property
    def has_killed(self) -> bool:
        """Returns whether it came to that."""
        return not self._armed.exists()
