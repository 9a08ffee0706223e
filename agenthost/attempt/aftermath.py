"""What was found of the snapshot when an attempt had ended, kept in the attempt's folder: a restarted daemon does not ask again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The fingerprint afterwards, empty where there was none to take; and what is wrong, empty when nothing is."""

    fingerprint: str
    violation: str = ""


def write_aftermath(folder: Path, aftermath: Aftermath) -> None:
    """Keeps it, whole or not at all; not for a power cut, after which nothing of the attempt runs. Blocking."""
    temporary = folder / ".aftermath.new"
    temporary.write_text(json.dumps(asdict(aftermath)))
    temporary.replace(folder / "aftermath.json")


def read_aftermath(folder: Path) -> Aftermath | None:
    """What was kept; None where nothing was, or where it is damaged: it is looked at again then. Blocking."""
    try:
        return Aftermath(**json.loads((folder / "aftermath.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
