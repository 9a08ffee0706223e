"""The reports of an attempt while it runs, whatever dialect its agent speaks. Plain values: no protocol, no numbers, no time."""

from dataclasses import dataclass
from enum import StrEnum

# Longer texts are cut, after their secrets were masked: a cut could hide that there was a secret.
MAX_TOOL_BYTES = 64 * 1024
MAX_NAME_BYTES = 256
MAX_NOTICE_BYTES = 4096
MAX_RESULT_BYTES = 1024 * 1024  # a larger one is no result


class Channel(StrEnum):
    """Where a text belongs."""

    ANSWER = "answer"
    REASONING = "reasoning"
    LOG = "log"


class NoticeKind(StrEnum):
    """Why a person should look."""

    DENIAL = "denial"
    MALFORMED_OUTPUT = "malformed_output"
    ANSWER_TRUNCATED = "answer_truncated"


@dataclass(frozen=True, slots=True)
class Output:
    """Text of a channel, as much as was there: neither a line nor a token by promise."""

    channel: Channel
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The agent used a tool. `arguments` is JSON, cut at its limit."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool answered."""

    id: str
    failed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Totals so far; None where they are not known."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    turns: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person should know, in one sentence."""

    kind: NoticeKind
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn ended. Its text is the answer's bytes from `answer_start` up to `answer_end`; `reason` is empty where it succeeded."""

    number: int
    reason: str
    usage: Usage
    answer_start: int
    answer_end: int
    result_json: str

    @property
    def succeeded(self) -> bool:
        """Returns whether the turn went well."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class InputApplied:
    """The agent's stdin has taken an input, which began a turn."""

    number: int
    turn: int


@dataclass(frozen=True, slots=True)
class InputRefused:
    """The agent will not get an input."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class AnswerVoid:
    """The answer so far is void: its stream broke, and the agent sends it again. The end of the turn tells where it begins."""


@dataclass(frozen=True, slots=True)
class Result:
    """The agent's structured result as JSON. The last one of a turn counts; it is sent with the end of turn or attempt."""

    json: str


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """The agent says that its turn is over. It becomes a `Turn` where a turn ran."""

    failed: bool = False


Report = Output | ToolCall | ToolResult | Usage | Notice | Turn | InputApplied | InputRefused
Parsed = Report | Result | TurnEnd | AnswerVoid
