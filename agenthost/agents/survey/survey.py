"""Gathers what every lens needs: the snapshot, a voice, a bound on time, and what was and was not judged.

It holds no findings; a lens yields its own.
"""

import ast
import time
from collections.abc import Iterable, Iterator
from functools import cached_property

from ..files import is_code, is_generated, is_product, is_test, is_vendored, language, spelt
from ..reading.python_source import parse
from ..reading.snapshot import Snapshot, SourceText
from ..voice import Voice


class Survey:
    """One investigation of one snapshot."""

    def __init__(self, snapshot: Snapshot, voice: Voice, *, seconds: float) -> None:
        self.snapshot = snapshot
        self._voice = voice
        self._deadline = time.process_time() + seconds
        self._said_late = False
        self.gaps: list[str] = []
        self._expected: set[str] = set()
        self.judged: set[str] = set()

    def say(self, sentence: str) -> None:
        """Writes a line for people who watch."""
        self._voice.log(spelt(sentence))

    def miss(self, sentence: str) -> None:
        """Reports what cannot be judged, now and at the end with the result, so that silence means something."""
        self.say(sentence)
        if sentence not in self.gaps:
            self.gaps.append(sentence)

    def expect(self, paths: Iterable[str]) -> None:
        """Notes files that a detector answers for: skipped ones, until one of them has judged them."""
        self._expected.update(paths)

    def judge(self, path: str) -> None:
        """Notes that a detector read and understood a file."""
        self.judged.add(path)

    @property
    def skipped(self) -> frozenset[str]:
        """Returns the files that no detector could judge."""
        return frozenset(self._expected - self.judged)

    @property
    def left(self) -> float:
        """Returns the seconds of processor time that are left."""
        return self._deadline - time.process_time()

    def is_late(self) -> bool:
        """Tells whether the time is used up: processor time, so that a busy machine does not change what is found.

        Only a safety net: the bounds that normally apply are counts and sizes.
        """
        late = self.left < 0
        if late and not self._said_late:
            self._said_late = True
            self.miss("The time for this survey is used up: what is not looked at yet is left out.")
        return late

    @cached_property
    def product(self) -> tuple[str, ...]:
        """Returns the paths of the code that the project ships or runs, hand-written as far as names and headers tell."""
        sources = (self.snapshot.read(path) for path in self.snapshot.paths if is_product(path))
        return tuple(source.path for source in sources if source and not is_generated(source.lines, source.path))

    @cached_property
    def tests(self) -> tuple[str, ...]:
        """Returns the paths of the code of the tests."""
        return tuple(path for path in self.snapshot.paths if is_code(path) and is_test(path) and not is_vendored(path))

    def sources(self, paths: tuple[str, ...], *languages: str) -> Iterator[SourceText]:
        """Reads those of the files that are of these languages (all, when none is named) until the time is used up."""
        for source in self.read(paths, languages):
            self.judge(source.path)
            yield source

    def python(self, paths: tuple[str, ...]) -> Iterator[tuple[SourceText, ast.Module]]:
        """Parses those of the files that are Python; a file that does not parse is passed over, and not judged."""
        # Stubs have no code, and their syntax may be newer than this interpreter.
        for source in self.read(tuple(path for path in paths if not path.endswith(".pyi")), ("Python",)):
            if tree := parse(source):
                self.judge(source.path)
                yield source, tree

    def read(self, paths: tuple[str, ...], languages: tuple[str, ...]) -> Iterator[SourceText]:
        """Reads files as `sources` does; the caller notes which of them it could judge."""
        wanted = [path for path in paths if not languages or language(path) in languages]
        self.expect(wanted)
        for path in wanted:
            if self.is_late():
                return
            if source := self.snapshot.read(path):
                yield source
