"""Runs git over folders that may be hostile: without the configuration of user and system, network, prompts and replacements.

Settings stand on the command line, where they win over the git folder's own. Each service says which it needs so that nothing of a
repository is executed, and what a failure means.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from servicekit import programs

_ENVIRONMENT = {
    "LC_ALL": "C",
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_LITERAL_PATHSPECS": "1",
}
# A commit graph is a cache of parents that its repository may lie in.
_SETTINGS = ("safe.directory=*", "core.commitGraph=false")


@dataclass(frozen=True, slots=True)
class GitRunner:
    """Git over one git folder. `settings` and `variables` add to those that hold for every git; None removes a variable."""

    folder: Path
    settings: tuple[str, ...] = ()
    variables: Mapping[str, str | None] = field(default_factory=dict)

    async def run(
        self,
        *args: str,
        stdin: bytes = b"",
        cwd: Path | None = None,
        timeout_seconds: float,
        max_output_bytes: int,
    ) -> programs.Completed:
        """Runs a command to its end."""
        return await programs.run(
            "git",
            *self._arguments(args),
            stdin=stdin,
            env=self._environment(),
            cwd=cwd or self.folder,
            timeout_seconds=timeout_seconds,
            max_output_bytes=max_output_bytes,
        )

    @contextlib.asynccontextmanager
    async def start(
        self, *args: str, stdin: bytes | None = None, timeout_seconds: float
    ) -> AsyncIterator[programs.Running]:
        """Starts a command whose output is read piece by piece, and its input too unless all of it is given here.

        A command that answers while it still reads must get its input here: both sides could wait for each other otherwise.
        """
        with contextlib.ExitStack() as stack:
            feed = None if stdin is None else stack.enter_context(programs.memory_file("input", stdin))
            async with programs.start(
                "git",
                *self._arguments(args),
                stdin=feed,
                env=self._environment(),
                cwd=self.folder,
                timeout_seconds=timeout_seconds,
            ) as running:
                yield running

    def _arguments(self, args: tuple[str, ...]) -> tuple[str, ...]:
        settings = (word for setting in (*_SETTINGS, *self.settings) for word in ("-c", setting))
        return "--no-pager", *settings, *args

    def _environment(self) -> Mapping[str, str]:
        own = {"PATH": os.environ.get("PATH", os.defpath), "GIT_DIR": str(self.folder)}
        variables = {**_ENVIRONMENT, **own, **self.variables}
        return {name: value for name, value in variables.items() if value is not None}
