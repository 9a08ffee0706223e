"""What an attempt used of its model, as the gateway writes it into the attempt's folder. Reading it is all that is done here."""

import json
from pathlib import Path

from agenthost.core.models.metering import ModelUse, restore

BOOK = "model_use.json"


def read_book(folder: Path) -> ModelUse | None:
    """What was used; None where no gateway wrote any."""
    try:
        return restore(json.loads((folder / BOOK).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return None
