"""Reads the number of the installed release.

`importlib.metadata` would do it, too, but it loads what parses mail and archives: 2 MB of every idle service.
"""

import sys
from functools import cache
from pathlib import Path

DISTRIBUTION = "conductor-agenthost"
_FOLDER = "conductor_agenthost-*.dist-info"


@cache
def release_number() -> str:
    """Returns the number in the name of the installation's metadata folder, the first on the path."""
    for place in sys.path:
        for found in Path(place).glob(_FOLDER):
            return found.name.removesuffix(".dist-info").rpartition("-")[2]
    # It is installed in another form, a zip file for example.
    from importlib.metadata import version  # noqa: PLC0415

    return version(DISTRIBUTION)
