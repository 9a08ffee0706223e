"""Notices that a server which is expected to say something every few seconds says nothing at all."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

# Three times the pace at which WatchRun says something even where nothing happens (limits.progress_seconds).
SILENCE_SECONDS = 15.0


class Silence:
    """Calls `on_silence`, from a thread of its own, once for each time that listening took SILENCE_SECONDS.

    Only while the caller listens: a caller that is busy with earlier messages cannot know.
    """

    def __init__(self, on_silence: Callable[[float], None]) -> None:
        self._on_silence = on_silence
        self._changed = threading.Condition()
        self._listens_since: float | None = None
        self._is_over = False
        self._is_told = False
        self._thread = threading.Thread(target=self._watch, name="silence", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join()

    def listen(self) -> None:
        """Begins to wait for the next word."""
        with self._changed:
            self._listens_since = time.monotonic()
            self._changed.notify()

    def rest(self) -> bool:
        """Ends the waiting; returns whether the silence was reported."""
        with self._changed:
            was_told, self._is_told, self._listens_since = self._is_told, False, None
            return was_told

    def _watch(self) -> None:
        with self._changed:
            while not self._is_over:
                self._changed.wait(self._look(time.monotonic()))

    def _look(self, now: float) -> float | None:
        """Reports the silence if it is due; returns when to look again, or None for when something changes."""
        if self._listens_since is None or self._is_told:
            return None
        left = self._listens_since + SILENCE_SECONDS - now
        if left > 0:
            return left
        self._is_told = True
        self._on_silence(now - self._listens_since)
        return None
