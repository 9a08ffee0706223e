"""Real git repositories for tests, friendly and hostile ones."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Runs git as the user of a repository would."""
    command = ["git", "-c", "safe.directory=*", *arguments]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def snapshot_content(store: Path, commit: str) -> dict[bytes, tuple[str, bytes]]:
    """Mode and bytes of everything in a snapshot of a conductor's store, as git itself shows it."""
    found = {}
    for record in git(store, "ls-tree", "-r", "-z", commit).split(b"\0")[:-1]:
        head, _, path = record.partition(b"\t")
        mode, kind, oid = head.decode().split()
        found[path] = (mode, git(store, "cat-file", "blob", oid) if kind == "blob" else oid.encode())
    return found


@dataclass(frozen=True, slots=True)
class UserRepository:
    """A repository with a working tree."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, **files: str) -> "UserRepository":
        """A repository with one commit."""
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "-b", "main")
        repository = cls(folder)
        repository.write("README.md", "# A project\n")
        repository.write("src/app.py", "print('hello')\n")
        for name, text in files.items():
            repository.write(name, text)
        repository.commit("first")
        return repository

    def write(self, name: str | bytes, content: str | bytes) -> Path:
        """Writes a file below it."""
        path = self.folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def commit(self, message: str) -> str:
        """Commits all that is there, and gives the commit's id."""
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "-q", "--allow-empty", "-m", message)
        return self.head

    def git(self, *arguments: str) -> str:
        """Runs git in it."""
        return git(self.folder, *arguments).decode()

    def add_config(self, text: str) -> None:
        """Appends to its configuration."""
        with (self.folder / ".git" / "config").open("a") as file:
            file.write(text)

    @property
    def head(self) -> str:
        """Its HEAD's commit."""
        return self.git("rev-parse", "HEAD").strip()

    def state(self) -> tuple[str, str, bytes, int, list[str]]:
        """Returns all that only its owner may change: status, work trees, the index with its time, and every git file."""
        index = self.folder / ".git" / "index"
        files = sorted(str(path) for path in (self.folder / ".git").rglob("*"))
        before = (index.read_bytes(), index.stat().st_mtime_ns) if index.exists() else (b"", 0)
        shown = git(self.folder, "--no-optional-locks", "status", "--porcelain").decode()
        return shown, self.git("worktree", "list"), *before, files
