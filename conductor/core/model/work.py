"""What worker processes are asked, and what they answer. Author's expressions never run in the engine's process.

A work is named by (run, kind, step): it is pure, so asking twice is harmless, and recovery simply asks again.
"""

from dataclasses import dataclass
from enum import StrEnum

from conductor.core.model.events import Failure, FindingCounts, WorkspaceChanges


class WorkKind(StrEnum):
    """What a worker does."""

    SKIP_GUARD = "skip_guard"  # evaluates `skip_when`
    PROMPT = "prompt"  # renders an agent's prompt
    FOLD = "fold"  # renders or merges
    CHECK = "check"  # checks an agent's findings and their citations
    REPORT = "report"  # renders the report


@dataclass(frozen=True, slots=True)
class Work:
    """One question. `step` is empty for REPORT; `attempt` names whose result CHECK looks at, and `turn` which turn of it."""

    run: str
    kind: WorkKind
    step: str = ""
    attempt: str = ""
    turn: int = 0


@dataclass(frozen=True, slots=True)
class GuardDecided:
    """SKIP_GUARD: `skip`, with the reason to record."""

    skip: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PromptRendered:
    """PROMPT: digest of the prompt's blob."""

    prompt: str


@dataclass(frozen=True, slots=True)
class Folded:
    """FOLD: digests of blobs; `findings` is empty where the fold gives none."""

    text: str
    findings: str = ""
    counts: FindingCounts = FindingCounts()


@dataclass(frozen=True, slots=True)
class Checked:
    """CHECK: digest of the checked findings; empty where the agent gave none."""

    findings: str = ""
    counts: FindingCounts = FindingCounts()


@dataclass(frozen=True, slots=True)
class Reported:
    """REPORT: digests of blobs, and what the report tells of the user's tree."""

    markdown: str
    json: str
    workspace_changes: WorkspaceChanges | None = None


@dataclass(frozen=True, slots=True)
class WorkFailed:
    """The author's text was wrong, or a limit was hit.

    Reasons: PROMPT_BUILD_FAILED, GUARD_FAILED, FOLD_FAILED, OUTPUT_INVALID, REPORT_FAILED, EVALUATION_LIMIT.
    """

    failure: Failure


Answer = GuardDecided | PromptRendered | Folded | Checked | Reported | WorkFailed


@dataclass(frozen=True, slots=True)
class WorkResult:
    """An answer, with its question."""

    work: Work
    answer: Answer
