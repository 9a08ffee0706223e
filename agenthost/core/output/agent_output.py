"""The one parser of an attempt: bytes of the spool in, reports out, a summary at the end.

Everything rests on one rule: the reports, joined, do not depend on how the bytes were cut. So a daemon that was restarted, or a
second stream, reads the spool from its beginning and makes the same frames with the same numbers. The parser keeps one incomplete
line and one incomplete character, never the output. `frames` and `numbering` make frames of the reports.

Secrets are masked before anything else happens (`redaction`). What may be the first half of a secret is held back, as half a
character is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from agenthost.core.output.dialects.table import DIALECTS
from agenthost.core.output.dialects.text import PlainText
from agenthost.core.output.redaction import REDACTIONS
from agenthost.core.output.report import (
    MAX_NAME_BYTES,
    MAX_NOTICE_BYTES,
    MAX_TOOL_BYTES,
    Channel,
    Notice,
    NoticeKind,
    Output,
    Parsed,
    Report,
    Result,
    ToolCall,
    ToolResult,
    Usage,
)
from agenthost.core.output.revisions import LATEST, Revisions
from agenthost.core.output.spool import INPUT_NUMBER, RecordKind, SpoolReader
from agenthost.core.output.utf8 import fitting


@dataclass(frozen=True, slots=True)
class Summary:
    """Holds what an attempt's end needs to know of its output."""

    has_answer: bool = False
    answer_truncated: bool = False
    denial_count: int = 0
    usage: Usage = field(default_factory=Usage)
    result_json: str = ""
    last_input: int = 0


class AgentOutput:
    """Reads one attempt's spool from its beginning, in order."""

    def __init__(
        self, dialect: str, max_answer_bytes: int, secrets: Iterable[str] = (), revisions: Revisions = LATEST
    ) -> None:
        self._records = SpoolReader()
        self._stdout = DIALECTS[dialect]()
        self._stderr = PlainText(Channel.LOG)
        secrets = tuple(secrets)
        self._of_stdout = REDACTIONS[revisions.redaction](secrets)
        self._of_stderr = REDACTIONS[revisions.redaction](secrets)
        self._answer_room = max_answer_bytes
        self._max_answer_bytes = max_answer_bytes
        self.summary = Summary()

    def feed(self, data: bytes) -> Iterator[Report]:
        """Yields what the next bytes of the spool report."""
        for piece in self._records.feed(data):
            match piece.kind:
                case RecordKind.STDOUT:
                    yield from self._pass_on(self._of_stdout.feed(self._stdout.feed(piece.data)))
                case RecordKind.STDERR:
                    yield from self._pass_on(self._of_stderr.feed(self._stderr.feed(piece.data)))
                case RecordKind.INPUT:
                    (number,) = INPUT_NUMBER.unpack_from(piece.data)
                    self.summary = replace(self.summary, last_input=number)
                case _:
                    continue

    def finish(self, *, is_whole: bool = False) -> Iterator[Report]:
        """Yields what the end of the spool completes; raises DamagedError where a whole spool ends within a record."""
        if is_whole:
            self._records.finish()
        for reader, redaction in ((self._stdout, self._of_stdout), (self._stderr, self._of_stderr)):
            yield from self._pass_on(redaction.feed(reader.finish()))
            yield from self._pass_on(redaction.finish())

    def _pass_on(self, parsed: Iterable[Parsed]) -> Iterator[Report]:
        for report in parsed:
            match report:
                case Output(channel=Channel.ANSWER, text=text):
                    yield from self._answer(text)
                case Result(json=json):
                    self.summary = replace(self.summary, result_json=json)
                case Usage():
                    yield self._count(report)
                case Notice(kind=NoticeKind.DENIAL, text=text):
                    self.summary = replace(self.summary, denial_count=self.summary.denial_count + 1)
                    yield replace(report, text=fitting(text, MAX_NOTICE_BYTES))
                case Notice(text=text):
                    yield replace(report, text=fitting(text, MAX_NOTICE_BYTES))
                case ToolCall(id=call, name=name, arguments=arguments):
                    call, name = fitting(call, MAX_NAME_BYTES), fitting(name, MAX_NAME_BYTES)
                    yield ToolCall(call, name, fitting(arguments, MAX_TOOL_BYTES))
                case ToolResult(id=call, text=text):
                    yield replace(report, id=fitting(call, MAX_NAME_BYTES), text=fitting(text, MAX_TOOL_BYTES))
                case _:
                    yield report

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
            self.summary = replace(self.summary, answer_truncated=True)
            limit = f"the answer reached its limit of {self._max_answer_bytes} bytes; the rest is dropped"
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
