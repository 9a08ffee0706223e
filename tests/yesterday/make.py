"""Makes the fixtures of a release: what its conductors and hosts leave behind for those of the next release.

git worktree add /tmp/then COMMIT && cd /tmp/then && ./dev setup
.venv/bin/python -m tests.yesterday.make FOLDER [conductor] [backup] [host] [wire] [code]
"""

import asyncio
import sys
from pathlib import Path

from tests.yesterday import make_backup, make_code, make_conductor, make_host, make_wire

PARTS = {"conductor": make_conductor, "backup": make_backup, "host": make_host, "wire": make_wire, "code": make_code}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS if len(sys.argv) < 3 else sys.argv[2:]:
        asyncio.run(PARTS[part].make(folder))
    for path in sorted(folder.iterdir()):
        sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
