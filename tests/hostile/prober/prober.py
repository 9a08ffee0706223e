"""An agent that uses git in the sandbox as agents do, and tells whether anything of the repository ran."""

import json
import subprocess
import sys
from pathlib import Path

COMMANDS = (
    "log -p --stat",
    "log --textconv --ext-diff -p",
    "log --show-signature -1",
    "status --porcelain",
    "grep -n eval",
    "grep --textconv eval",
    "diff HEAD~1",
    "diff HEAD~1 --ext-diff --textconv",
    "diff --cached",
    "show HEAD --ext-diff",
    "blame src/app.py",
    "ls-files -s",
    "cat-file --textconv HEAD:src/app.py",
    "cat-file --filters HEAD:src/app.py",
    "rev-list --all --objects",
    "config --list --show-origin",
    "archive HEAD src",
    "fetch origin",
    "gc --auto",
    "ls-remote .",
)


def main() -> None:
    """Runs the commands; tells each one's exit code, and at the end whether the bait was taken."""
    for command in COMMANDS:
        done = subprocess.run(
            ["git", *command.split()], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
        told = (done.stdout + done.stderr)[-2000:].decode(errors="replace")
        say(f"git {command}: {done.returncode}\n{told}\n")
    if "bait" in sys.argv[1:]:
        subprocess.run(["/bin/sh", "bait.sh"], capture_output=True, check=False)
    if "module" in sys.argv[1:]:
        subprocess.run([sys.executable, "-c", "import json"], check=False)
    say("/tmp: " + ", ".join(path.name for path in Path("/tmp").iterdir()) + "\n")


def say(text: str) -> None:
    sys.stdout.write(json.dumps({"type": "answer", "text": text}) + "\n")
    sys.stdout.flush()


main()
