"""Events of attempts and their turns. The rules for all events stand in `run_events`."""

from dataclasses import dataclass

from conductor.core.model.events.event_parts import Confinement, FindingCounts, ModelUse, StartSpec, UsableAnswer
from conductor.core.model.states import AttemptState, Failure


@dataclass(frozen=True, slots=True)
class AttemptCreated:
    """An attempt was decided, and its step runs. The Start is made from this, now and after every crash.

    `start.parameters` are left out: they are the plan's. `pool` is the pool of model slots that it takes one of, for `model`; empty
    where its agent asks no model, and in rows of earlier versions. `names_places`: its findings may name places without a quote.
    """

    step: str
    attempt: str
    number: int
    host: str
    placement_reason: str
    start: StartSpec
    instance: str = ""  # of the host, where it has told one
    pool: str = ""
    model: str = ""
    names_places: bool = False


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """The agent runs, confined and verified."""

    step: str
    attempt: str
    confinement: Confinement


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """An agent that may take further turns ended one, and waits. Turns of an attempt are numbered from 1.

    Its answer is the bytes `answer_start` to `answer_end` of the attempt's answer, its `result` the digest of a blob. Tokens are
    totals of the attempt. `reason` says why the turn failed; empty where it did not.
    """

    step: str
    attempt: str
    turn: int
    answer_start: int
    answer_end: int
    result: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    turns: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TurnChecked:
    """The answer of a turn was checked: `failure` says what is wrong with it, else `findings` and `output` (digests) count."""

    step: str
    attempt: str
    turn: int
    findings: str = ""
    counts: FindingCounts = FindingCounts()
    failure: Failure | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class RepairAsked:
    """The agent is asked, once in the life of its step, to repair the answer of a turn (0: of an attempt without turns).

    Digests of blobs: `input` is for the agent that waits for it, `prompt` for a new attempt, which is shown the former answer.
    `usable` is that answer, where it counts as long as no better one comes.
    """

    step: str
    attempt: str
    turn: int
    prompt: str
    input: str
    failure: Failure
    usable: UsableAnswer | None = None


@dataclass(frozen=True, slots=True)
class InputRefused:
    """An agent could not be given the input that follows a turn."""

    step: str
    attempt: str
    turn: int
    reason: str


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt ended. `result` is the digest of its structured result; empty where there is none.

    `last_sequence` is the last frame that counts. `retry` decides whether another attempt follows.
    """

    step: str
    attempt: str
    state: AttemptState
    failure: Failure | None = None
    exit_code: int | None = None
    signal: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    turns: int | None = None
    denial_count: int = 0
    answer_truncated: bool = False
    answer_start: int = 0  # bytes of the answer before it are void: the agent sent it again
    result: str = ""
    confinement: Confinement | None = None
    last_sequence: int = 0
    retry_after_seconds: float = 0.0  # how long the model's endpoint or the host asked to wait
    model_use: ModelUse | None = None
    answer_note: str = ""  # why the answer is not whole
    model_requests: str = ""  # digest of a blob: its requests to its model, of a run with a trace
