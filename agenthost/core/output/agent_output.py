"""The one parser of an attempt: bytes of the spool in, reports out, a summary at the end.

Everything rests on one rule: the reports, joined, do not depend on how the bytes were cut. So a daemon that was restarted, or a
second stream, reads the spool from its beginning and makes the same frames with the same numbers. The parser keeps one incomplete
line and one incomplete character, never the output. `frames` and `numbering` make frames of the reports.

Secrets are masked before anything else happens (`redaction`). What may be the first half of a secret is held back, as half a
character is; the end of a turn lets it go.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from agenthost.core.output.dialects.lines import KEPT_AS_LOG
from agenthost.core.output.dialects.table import DIALECTS
from agenthost.core.output.dialects.text import PlainText
from agenthost.core.output.redaction import REDACTIONS
from agenthost.core.output.report import (
    MAX_NAME_BYTES,
    MAX_NOTICE_BYTES,
    MAX_TOOL_BYTES,
    AnswerVoid,
    Channel,
    InputApplied,
    InputRefused,
    Notice,
    NoticeKind,
    Output,
    Parsed,
    Report,
    Result,
    ToolCall,
    ToolResult,
    Turn,
    TurnEnd,
    Usage,
)
from agenthost.core.output.revisions import BOUNDED, LATEST, Revisions
from agenthost.core.output.spool import INPUT_NUMBER, Piece, RecordKind, SpoolReader
from agenthost.core.output.utf8 import fitting

MAX_MALFORMED = 3
TURN_FAILED, EMPTY_OUTPUT = "TURN_FAILED", "EMPTY_OUTPUT"


@dataclass(frozen=True, slots=True)
class Summary:
    """Holds what an attempt's end needs to know of its output. With turns, answer and result are those of the newest turn."""

    has_answer: bool = False
    answer_truncated: bool = False  # at its limit
    answer_note: str = ""  # why the answer is not whole
    denial_count: int = 0
    malformed: tuple[str, ...] = ()  # the first notices of lines that could not be read
    usage: Usage = field(default_factory=Usage)
    result_json: str = ""
    last_input: int = 0
    last_turn: Turn | None = None  # the last one that ended; None where one turn is all that was asked for
    answer_start: int = 0  # bytes of the answer before it are void
    is_in_turn: bool = True
    is_closed: bool = False  # no turn was to follow


class AgentOutput:
    """Reads one attempt's spool from its beginning, in order."""

    def __init__(
        self,
        dialect: str,
        max_answer_bytes: int,
        secrets: Iterable[str] = (),
        revisions: Revisions = LATEST,
        *,
        has_turns: bool = False,
    ) -> None:
        self._records = SpoolReader()
        self._has_turns = has_turns
        self._stdout = DIALECTS[dialect](revisions.parser)
        self._stderr = PlainText(Channel.LOG)
        secrets = tuple(secrets)
        self._of_stdout = REDACTIONS[revisions.redaction](secrets)
        self._of_stderr = REDACTIONS[revisions.redaction](secrets)
        self._answer_room = max_answer_bytes
        self._max_answer_bytes = max_answer_bytes
        self._turn, self._turn_start = 1, 0
        self._is_told_of_odd_ends = False
        self.is_bounded = revisions.parser >= BOUNDED
        self.summary = Summary()

    def feed(self, data: bytes) -> Iterator[Report]:
        """Yields what the next bytes of the spool report."""
        for piece in self._records.feed(data):
            match piece.kind:
                case RecordKind.STDOUT:
                    yield from self._pass_on(self._of_stdout.feed(self._asked_for(self._stdout.feed(piece.data))))
                case RecordKind.STDERR:
                    yield from self._pass_on(self._of_stderr.feed(self._stderr.feed(piece.data)))
                case RecordKind.INPUT | RecordKind.APPLIED | RecordKind.REFUSED | RecordKind.CLOSED:
                    yield from self._note(piece)
                case _:
                    continue

    def finish(self, *, is_whole: bool = False) -> Iterator[Report]:
        """Yields what the end of the spool completes; raises DamagedError where a whole spool ends within a record."""
        if is_whole:
            self._records.finish()
        for reader, redaction in ((self._stdout, self._of_stdout), (self._stderr, self._of_stderr)):
            yield from self._pass_on(redaction.feed(self._asked_for(reader.finish())))
            yield from self._pass_on(redaction.finish())

    def _asked_for(self, parsed: Iterable[Parsed]) -> Iterable[Parsed]:
        """Returns the reports without the ends of turns that were not asked for."""
        return parsed if self._has_turns else (report for report in parsed if not isinstance(report, TurnEnd))

    def _note(self, piece: Piece) -> Iterator[Report]:
        """Notes what the shim did with the agent's stdin. Only with turns it is reported."""
        (number,) = INPUT_NUMBER.unpack_from(piece.data)
        if piece.kind == RecordKind.INPUT:
            self.summary = replace(self.summary, last_input=number)
        if not self._has_turns:
            return
        match piece.kind:
            case RecordKind.INPUT:
                yield from self._begin_turn()
            case RecordKind.APPLIED:
                yield InputApplied(number, self._turn)
            case RecordKind.REFUSED:
                if number == self.summary.last_input:  # the agent closed its stdin before it had all of it
                    self._turn -= 1
                    self.summary = replace(self.summary, is_in_turn=False)
                yield InputRefused(number, piece.data[INPUT_NUMBER.size :].decode(errors="replace"))
            case RecordKind.CLOSED:
                self.summary = replace(self.summary, is_closed=True)

    def _begin_turn(self) -> Iterator[Report]:
        yield from self._pass_on(self._of_stdout.flush())  # what an agent says between two turns belongs to none
        self._turn += 1
        self._turn_start = self._max_answer_bytes - self._answer_room
        self.summary = replace(self.summary, is_in_turn=True, has_answer=False, answer_note="", result_json="")

    def _end_turn(self, end: TurnEnd) -> Iterator[Report]:
        known = self.summary
        if not known.is_in_turn:
            yield from self._tell_odd_end()
            return
        reason = "" if known.has_answer or known.result_json else EMPTY_OUTPUT
        said = (self._turn_start, self._max_answer_bytes - self._answer_room, known.result_json)
        turn = Turn(self._turn, TURN_FAILED if end.failed else reason, known.usage, *said)
        self.summary = replace(known, last_turn=turn, is_in_turn=False)
        yield turn

    def _void_answer(self) -> None:
        if self.summary.is_in_turn:
            self._turn_start = self._max_answer_bytes - self._answer_room
            self.summary = replace(self.summary, answer_start=self._turn_start, has_answer=False)

    def _tell_odd_end(self) -> Iterator[Report]:
        if not self._is_told_of_odd_ends:
            self._is_told_of_odd_ends = True
            yield Notice(NoticeKind.MALFORMED_OUTPUT, "the agent ended a turn when none ran; such ends are ignored")

    def _pass_on(self, parsed: Iterable[Parsed]) -> Iterator[Report]:
        for report in parsed:
            match report:
                case Output(channel=Channel.ANSWER, text=text):
                    yield from self._answer(text)
                case Result(json=json):
                    self.summary = replace(self.summary, result_json=json)
                case Usage():
                    yield self._count(report)
                case TurnEnd():
                    yield from self._end_turn(report)
                case AnswerVoid():
                    self._void_answer()
                case Notice():
                    yield self._tell(report)
                case ToolCall(id=call, name=name, arguments=arguments):
                    call, name = fitting(call, MAX_NAME_BYTES), fitting(name, MAX_NAME_BYTES)
                    yield ToolCall(call, name, fitting(arguments, MAX_TOOL_BYTES))
                case ToolResult(id=call, text=text):
                    yield replace(report, id=fitting(call, MAX_NAME_BYTES), text=fitting(text, MAX_TOOL_BYTES))
                case _:
                    yield report

    def _tell(self, notice: Notice) -> Notice:
        """Returns a notice at its limit, and notes what the attempt's end needs of it."""
        known, told = self.summary, fitting(notice.text, MAX_NOTICE_BYTES)
        match notice.kind:
            case NoticeKind.DENIAL:
                self.summary = replace(known, denial_count=known.denial_count + 1)
            case NoticeKind.ANSWER_TRUNCATED:
                self.summary = replace(known, answer_note=told)
            case NoticeKind.MALFORMED_OUTPUT if len(known.malformed) < MAX_MALFORMED:
                self.summary = replace(known, malformed=(*known.malformed, told.removesuffix(KEPT_AS_LOG)))
        return replace(notice, text=told)

    def _answer(self, text: str) -> Iterator[Report]:
        if self.summary.answer_truncated:
            return
        if not self.summary.has_answer and not text.isspace():
            self.summary = replace(self.summary, has_answer=bool(text))
        kept = fitting(text, self._answer_room)
        self._answer_room -= len(kept.encode())
        if kept:
            yield Output(Channel.ANSWER, kept)
        if len(kept) < len(text):
            limit = f"the answer reached its limit of {self._max_answer_bytes} bytes; the rest is dropped"
            self.summary = replace(self.summary, answer_truncated=True, answer_note=limit)
            yield Notice(NoticeKind.ANSWER_TRUNCATED, limit)

    def _count(self, told: Usage) -> Usage:
        """Returns the totals so far: a count that this report lacks stays as it was."""
        known = self.summary.usage
        usage = Usage(
            known.input_tokens if told.input_tokens is None else told.input_tokens,
            known.output_tokens if told.output_tokens is None else told.output_tokens,
            known.turns if told.turns is None else told.turns,
        )
        self.summary = replace(self.summary, usage=usage)
        return usage
