"""What an agent can say, whatever dialect it speaks. Plain values: no protocol, no numbering, no time."""

from dataclasses import dataclass
from enum import StrEnum


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
    """Text of a channel: as much as was there, never a promise of lines or tokens."""

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
    """What a tool answered."""

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
class Result:
    """The agent's structured result as JSON. The last one counts; it is told with the end, not as a frame."""

    json: str


Report = Output | ToolCall | ToolResult | Usage | Notice
