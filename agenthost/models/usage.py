"""Reads and writes `model_use.json` in an attempt's folder: what the gateway counted of its requests to the model."""

import json
from pathlib import Path

from agenthost.core.damage import is_shortage
from agenthost.core.models.metering import ModelUse, describe, restore

_FILE = "model_use.json"


def read_use(folder: Path) -> ModelUse | None:
    """Returns what was used; None where no gateway wrote any. Raises OSError where this process runs short of something."""
    try:
        return restore(json.loads((folder / _FILE).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if is_shortage(error):  # an end with less use than was counted must not be reported
            raise
        return None


def write_use(folder: Path, use: ModelUse) -> None:
    """Keeps what was used, whole or not at all."""
    new = folder / "model_use.new"
    new.write_text(json.dumps(describe(use)))
    new.rename(folder / _FILE)
