"""What the database holds of runs at work, kept in memory, so that a decision is stored without reading first.

Nothing else writes, so it stays true; after a transaction that failed it is forgotten, and read again.
"""

from dataclasses import dataclass, field

from conductor.core.model.commands import Decision, Record
from conductor.core.model.events.attempt_events import AttemptCreated
from conductor.core.model.events.run_events import RunCreated
from conductor.store.postgresql.writer import Writer

RUNS = 2_000
ATTEMPTS = 10_000

_RUNS = """
SELECT run, key, greatest(
  (SELECT coalesce(max(position), 0) FROM journal WHERE run = r.key),
  (SELECT coalesce(max(position), 0) FROM chunks WHERE run = r.key),
  (SELECT coalesce(max(position), 0) FROM blocks WHERE run = r.key)), is_compacted
FROM runs r WHERE run = ANY(%s)
"""
_ATTEMPTS = """
SELECT a.attempt, a.key, n.channel, greatest(
  (SELECT coalesce(max(end_byte), 0) FROM chunks WHERE attempt = a.key AND channel = n.channel),
  (SELECT coalesce(max(end_byte), 0) FROM strips WHERE attempt = a.key AND channel = n.channel))
FROM attempts a, unnest(ARRAY['answer', 'reasoning', 'log', 'activity']) n(channel) WHERE a.attempt = ANY(%s)
"""


@dataclass(slots=True)
class KnownRun:
    """A run: its key, and the position of what it stored last."""

    key: int
    position: int = 0
    is_compacted: bool = False


@dataclass(slots=True)
class KnownAttempt:
    """An attempt: its key, and the length of each channel."""

    key: int
    ends: dict[str, int] = field(default_factory=dict)


class Known:
    """Runs and attempts, by name."""

    def __init__(self) -> None:
        self.runs: dict[str, KnownRun] = {}
        self.attempts: dict[str, KnownAttempt] = {}

    def forget(self) -> None:
        """Forgets everything."""
        self.runs.clear()
        self.attempts.clear()

    async def prepare(self, writer: Writer, decision: Decision) -> None:
        """Reads what a decision needs and is not known yet."""
        if len(self.runs) > RUNS or len(self.attempts) > ATTEMPTS:
            self.forget()
        runs, attempts = self._list_unknown(decision)
        if not runs and not attempts:
            return
        found, said = await writer.ask_together((_RUNS, (sorted(runs),)), (_ATTEMPTS, (sorted(attempts),)))
        self.runs.update({run: KnownRun(key, last, packed) for run, key, last, packed in found})
        for attempt, key, channel, end in said:
            self.attempts.setdefault(attempt, KnownAttempt(key)).ends[channel] = end

    def _list_unknown(self, decision: Decision) -> tuple[set[str], set[str]]:
        """Returns the runs and attempts that the decision adds to, and does not create."""
        runs, attempts = set(), {attempt for attempt, _ in decision.cursors}
        created: set[str] = set()
        for item in decision.to_store:
            runs.add(item.run)
            if not isinstance(item, Record):
                attempts.add(item.attempt)
            elif isinstance(item.event, RunCreated):
                created.add(item.run)
            elif isinstance(item.event, AttemptCreated):
                created.add(item.event.attempt)
        return runs - created - self.runs.keys(), attempts - created - self.attempts.keys()
