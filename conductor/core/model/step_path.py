"""The grammar of step ids: the one place in this service that knows it.

An id is a path of names and indexes, joined by dots: `angles.3.look` is the step `look` of the fourth item of `angles`. It begins
with a name and has at most 90 characters, so that an attempt's id (`run-step-attempt`) has at most 128. Steps of a flow file, and
all steps of earlier versions, have a path of one name.
"""

import re

# The feature of a host that takes attempts of steps whose id has more than one part.
PATH_IDS = "path_ids"
MAX_PATH_CHARACTERS = 90
NAME = r"[a-z][a-z0-9_]{0,39}"
STEP_PATH = rf"(?=[a-z0-9_.]{{1,{MAX_PATH_CHARACTERS}}}(?![a-z0-9_.])){NAME}(?:\.(?:{NAME}|0|[1-9][0-9]*))*"

_NAME = re.compile(NAME)
_STEP_PATH = re.compile(STEP_PATH)


def is_step_name(text: str) -> bool:
    """Returns whether an author may give a step this id."""
    return _NAME.fullmatch(text) is not None


def is_step_path(text: str) -> bool:
    """Returns whether a step may have this id."""
    return _STEP_PATH.fullmatch(text) is not None


def child_path(parent: str, index: int, name: str) -> str:
    """Returns the id of a step for one item or round of its parent."""
    return f"{parent}.{index}.{name}"


def item_of(child: str) -> str:
    """Returns the item or round that a child belongs to: its id without its name."""
    return child.rpartition(".")[0]


def is_child_path(path: str) -> bool:
    """Returns whether a step is part of another one."""
    return "." in path
