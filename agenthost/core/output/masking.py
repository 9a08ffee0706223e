"""Masks the secrets in what an agent says, whatever kind of saying it is. How text is masked is `redaction`'s business.

Each stream of an agent's output has a masking of its own, with a redactor for each channel: so neither a log line between two
halves of an answer nor a word on stderr between two on stdout hides what is joined again for the reader. Texts of a channel are
one text in pieces; everything else is whole, and masked as a whole. Limits come after: a cut could hide that there was a secret.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from agenthost.core.output.redaction import Redactor, redacted, redacted_json
from agenthost.core.output.report import Channel, Notice, Output, Report, Result, ToolCall, ToolResult


class Masking:
    """Masks the sayings of one stream."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = tuple(values)
        self._redactors = {channel: Redactor(self._values) for channel in Channel}

    def feed(self, sayings: Iterable[Report | Result]) -> Iterator[Report | Result]:
        """Gives what can be told by now."""
        for said in sayings:
            masked = self._masked(said)
            if not isinstance(masked, Output) or masked.text:
                yield masked

    def finish(self) -> Iterator[Report | Result]:
        """Gives what was held back."""
        for channel, redactor in self._redactors.items():
            if text := redactor.finish():
                yield Output(channel, text)

    def _masked(self, said: Report | Result) -> Report | Result:
        match said:
            case Output(channel=channel, text=text):
                return Output(channel, self._redactors[channel].feed(text))
            case ToolCall(name=name, arguments=arguments):
                return replace(said, name=self._whole(name), arguments=redacted_json(arguments, self._values))
            case ToolResult(text=text) | Notice(text=text):
                return replace(said, text=self._whole(text))
            case Result(json=json):
                return Result(redacted_json(json, self._values))
            case _:
                return said

    def _whole(self, text: str) -> str:
        return redacted(text, self._values)
