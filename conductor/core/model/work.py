"""Questions to worker processes, and their answers. Expressions of authors never run in the engine's process.

A work is pure, so asking twice is harmless, and recovery asks again.
"""

from dataclasses import dataclass
from enum import StrEnum

from conductor.core.model.events.event_parts import FindingCounts, UsableAnswer, WorkspaceChanges
from conductor.core.model.plan import RunPlan
from conductor.core.model.states import Failure


class WorkKind(StrEnum):
    """The kinds of questions."""

    SKIP_GUARD = "skip_guard"  # evaluates `skip_when`
    ITEMS = "items"  # evaluates the items of a step
    UNTIL = "until"  # judges a round
    GATHER = "gather"  # gathers the results of items or rounds
    PROMPT = "prompt"  # renders an agent's prompt
    FOLD = "fold"  # renders or merges
    SHOW = "show"  # renders what a gate shows
    CHECK = "check"  # checks an agent's findings and their citations
    CALL = "call"  # evaluates the inputs of a called flow, and plans the sub-run
    COLLECT = "collect"  # brings together what a sub-run reported and found
    REPORT = "report"  # renders the report


@dataclass(frozen=True, slots=True)
class Work:
    """One question. `step` is empty for REPORT. CHECK is about the result of `attempt`, in its `turn`; UNTIL about a `round`."""

    run: str
    kind: WorkKind
    step: str = ""
    attempt: str = ""
    turn: int = 0
    round: int = 0


@dataclass(frozen=True, slots=True)
class GuardDecided:
    """The answer to SKIP_GUARD, with the reason to record."""

    skip: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ItemsFound:
    """The answer to ITEMS: the digest of a blob with one item a line, their number, and how many were too many."""

    items: str
    count: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class RoundDecided:
    """The answer to UNTIL."""

    is_done: bool


@dataclass(frozen=True, slots=True)
class PromptRendered:
    """The answer to PROMPT: the digest of the prompt's blob, and parameters that are templates, rendered with all others."""

    prompt: str
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Folded:
    """The answer to FOLD, GATHER and COLLECT: digests of blobs. `findings` and `output` are empty where there are none."""

    text: str
    findings: str = ""
    counts: FindingCounts = FindingCounts()
    output: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """The answer to SHOW: the digest of what a person reads."""

    text: str


@dataclass(frozen=True, slots=True)
class SubRunPlanned:
    """The answer to CALL: the plan of the sub-run, with the id that it gets."""

    plan: RunPlan


@dataclass(frozen=True, slots=True)
class Checked:
    """The answer to CHECK: digests of the checked findings and of the typed output; empty where the agent gave none."""

    findings: str = ""
    counts: FindingCounts = FindingCounts()
    output: str = ""


@dataclass(frozen=True, slots=True)
class OutputInvalid:
    """The answer to CHECK where an agent's output does not have the form that was asked for.

    Digests of blobs with which the agent may be asked to repair it (see `RepairAsked`); empty where it may not. `usable` counts
    where it is not asked, or brings nothing better.
    """

    failure: Failure
    prompt: str = ""
    input: str = ""
    usable: UsableAnswer | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """The answer to REPORT: digests of blobs, and what the report says of the user's tree. A flow may declare no `outputs`."""

    markdown: str
    json: str
    workspace_changes: WorkspaceChanges | None = None
    outputs: str = ""


@dataclass(frozen=True, slots=True)
class WorkFailed:
    """The answer where the author's text was wrong, or a limit was hit.

    Reasons: PROMPT_BUILD_FAILED, GUARD_FAILED, FOLD_FAILED, SHOW_FAILED, CALL_FAILED, OUTPUT_INVALID (it could not be checked),
    REPORT_FAILED, EVALUATION_LIMIT.
    """

    failure: Failure


Answer = (
    GuardDecided
    | ItemsFound
    | RoundDecided
    | PromptRendered
    | Folded
    | Shown
    | SubRunPlanned
    | Checked
    | OutputInvalid
    | Reported
    | WorkFailed
)


@dataclass(frozen=True, slots=True)
class WorkResult:
    """An answer, with its question."""

    work: Work
    answer: Answer
