"""Reads reports that former versions stored: their JSON lacks what later versions added.

A template refuses a name that is not there. So what each version added is filled in here, once for all forms.
"""

from collections.abc import Mapping
from typing import Any

from conductor.evaluation.reports.unchecked import unchecked

_SNAPSHOT: Mapping[str, Any] = {
    "scope": "whole",
    "base_commit": "",
    "base_revision": "",
    "paths": [],
    "changed": [],
    "changed_count": 0,
}
_STEP: Mapping[str, Any] = {"parent": "", "repair": None, "answer_note": ""}
_ATTEMPT: Mapping[str, Any] = {"model": "", "begin": None}


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a stored report's values with every member that the forms of today read."""
    execution = values["execution"]
    return {
        "not_checked": [item._asdict() for item in unchecked(values)],
        **values,
        "snapshot": {**_SNAPSHOT, **values["snapshot"]},
        "steps": [{**_STEP, **step} for step in values["steps"]],
        "execution": {
            **execution,
            "attempts": [{**_ATTEMPT, **attempt} for attempt in execution["attempts"]],
            "confinement": [{"uids": [group["uid"]], **group} for group in execution["confinement"]],
        },
    }
