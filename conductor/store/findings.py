"""Findings as every store lists them: a step's document of findings, taken apart."""

import json
from dataclasses import dataclass
from typing import Any

from conductor.store.texts import replace_surrogates

RANKS = {"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}
FINDINGS_PER_STEP = 500


@dataclass(frozen=True, slots=True)
class ListedFinding:
    """A finding as JSON, with the values that lists filter and sort by."""

    finding: str
    rank: int
    status: str
    data: str


def list_findings(document: bytes) -> list[ListedFinding]:
    """Returns the findings of a document, in its order.

    The document was checked before it came here. Entries of another shape are left out all the same: a list is not worth a
    transaction that can never succeed, and the document itself is kept as it is.
    """
    try:
        found = json.loads(document)["findings"][:FINDINGS_PER_STEP]
    except (ValueError, KeyError, TypeError):
        return []
    return [_list(finding) for finding in found if isinstance(finding, dict)]


def _list(finding: dict[str, Any]) -> ListedFinding:
    return ListedFinding(
        finding=replace_surrogates(str(finding.get("id", ""))),
        rank=RANKS.get(str(finding.get("severity")), RANKS["info"]),
        status=replace_surrogates(str(finding.get("status", ""))),
        data=json.dumps(finding),
    )
