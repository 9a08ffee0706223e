"""Reads the number of an installed release: ours, or that of another package.

`importlib.metadata` would do it, too, but it loads what parses mail and archives: 2 MB of every idle service.
"""

import sys
from functools import cache
from pathlib import Path

DISTRIBUTION = "conductor-agenthost"
_FOLDER = "{name}-*.dist-info"


@cache
def release_number() -> str:
    """Returns the number of our own release."""
    if number := installed_number(DISTRIBUTION):
        return number
    # It is installed in another form, a zip file for example.
    from importlib.metadata import version  # noqa: PLC0415

    return version(DISTRIBUTION)


def installed_number(distribution: str) -> str:
    """Returns the number in the name of an installation's metadata folder, the first on the path; nothing where none is."""
    pattern = _FOLDER.format(name=distribution.replace("-", "_"))
    for place in sys.path:
        for found in Path(place).glob(pattern):
            return found.name.removesuffix(".dist-info").rpartition("-")[2]
    return ""
