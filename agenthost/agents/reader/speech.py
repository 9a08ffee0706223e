"""Passes the model's words on as they come, but for tool calls that it writes as text: those are no part of the answer."""

from ..voice import Voice

_TAG = "<tool_call"
_OPENINGS = ("<", "{", "[", "`")


class Speech:
    """The words of one reply after the other."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._held = ""
        self._is_holding = False
        self._has_spoken = self._is_first = False

    def begin_turn(self) -> None:
        """Begins the answer to another question."""
        self._has_spoken = False

    def begin(self) -> None:
        """Begins a reply; a paragraph parts it from what was said in an earlier one."""
        self._held, self._is_holding, self._is_first = "", False, True

    def feed(self, text: str) -> None:
        """Takes the next words; whatever may be a tool call is held until the reply has ended."""
        self._held += text
        if self._is_holding or not (start := self._held.lstrip()):
            return
        if self._is_first and start.startswith(_OPENINGS):
            self._is_holding = True
            return
        cut = self._held.find(_TAG)
        self._is_holding = cut >= 0
        self._say(cut if cut >= 0 else len(self._held) - _overlap(self._held))

    def end(self, *, is_call: bool) -> None:
        """Ends the reply; held words are dropped where they were a tool call."""
        if not is_call:
            self._say(len(self._held))
        self._held = ""

    def _say(self, length: int) -> None:
        words, self._held = self._held[:length], self._held[length:]
        if not words:
            return
        if self._is_first and self._has_spoken:
            words = f"\n\n{words.lstrip()}"
        self._is_first, self._has_spoken = False, True
        self._voice.answer(words)


def _overlap(text: str) -> int:
    """Returns how many characters at the end may be the beginning of a tag."""
    return next((size for size in range(min(len(_TAG), len(text)), 0, -1) if text.endswith(_TAG[:size])), 0)
