"""Masks the secrets in an agent's reports, of whatever kind. `redaction` masks text.

Each stream of an agent's output has a masking of its own, with a redactor for each channel. So neither a log line between two
halves of an answer nor a word on stderr between two on stdout hides what is joined again for the reader. Texts of a channel are
one text in pieces; any other report is whole, and masked as a whole. Limits come after: a cut could hide that there was a secret.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from agenthost.core.output.redaction import Redactor, redacted, redacted_json
from agenthost.core.output.report import Channel, Notice, Output, Parsed, Result, ToolCall, ToolResult


class Masking:
    """Masks the reports of one stream."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = tuple(values)
        self._redactors = {channel: Redactor(self._values) for channel in Channel}

    def feed(self, parsed: Iterable[Parsed]) -> Iterator[Parsed]:
        """Yields what can be passed on by now."""
        for report in parsed:
            masked = self._masked(report)
            if not isinstance(masked, Output) or masked.text:
                yield masked

    def finish(self) -> Iterator[Parsed]:
        """Yields what was held back."""
        for channel, redactor in self._redactors.items():
            if text := redactor.finish():
                yield Output(channel, text)

    def _masked(self, report: Parsed) -> Parsed:
        match report:
            case Output(channel=channel, text=text):
                return Output(channel, self._redactors[channel].feed(text))
            case ToolCall(name=name, arguments=arguments):
                return replace(report, name=self._whole(name), arguments=redacted_json(arguments, self._values))
            case ToolResult(text=text) | Notice(text=text):
                return replace(report, text=self._whole(text))
            case Result(json=json):
                return Result(redacted_json(json, self._values))
            case _:
                return report

    def _whole(self, text: str) -> str:
        return redacted(text, self._values)
