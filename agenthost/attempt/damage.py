"""What was found damaged of an attempt, kept in its folder: whoever comes back is told the same end under the same number."""

import json
from dataclasses import asdict
from pathlib import Path

from agenthost.core.damage import Damage, is_shortage
from agenthost.system.files import write_file


def settle_damage(folder: Path, found: Damage) -> Damage:
    """Keeps what was found, unless something was found before; gives what counts. Blocking.

    Where the whole folder is gone there is nothing to keep it in, and after a restart nobody who would ask for it.
    """
    if known := read_damage(folder):
        return known
    if folder.is_dir():
        write_file(folder / "damage.json", json.dumps(asdict(found)).encode())
    return found


def read_damage(folder: Path) -> Damage | None:
    """What was found; None where nothing was. Blocking."""
    try:
        return Damage(**json.loads((folder / "damage.json").read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        if is_shortage(error):  # nothing was learned, and another end must not be told
            raise
        return None
