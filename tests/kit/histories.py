"""Judges what happened, in a simulated world or with real processes that were killed.

Values in, sentences out: `find_faults` returns everything that is wrong, nothing where all promises were kept (I1 to I4). The
caller brings a history into this shape; where it comes from (a journal, WatchRun, spawn logs, process tables) is not known here.

The rules, before the code:

- A run's history has every position once, from 1 on. Compaction may have merged texts of a channel: one text then stands for
  several positions, and is found at the last of them. The run's end is the last entry; every run, step and attempt ends once at
  most, and an attempt says nothing after its end. When a run has ended, so have all its attempts.
- What is stored of an attempt is what it said, byte for byte; where it was given up or killed, a beginning of that.
- A watcher is told each fact once and in order, and of each channel every byte once and in order. It may come and go: each visit
  goes on exactly where its token says. Texts may be cut otherwise than they are stored.
- An attempt ran once, on one host; attempts of one step never at the same time; a host never ran more than its slots allow;
  nothing runs in the end.
- A conductor's epochs rise with its starts; a host that has admitted one admits no lower one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest

RUN = "run"
LOST = "lost"
CUT_CHARACTER = "\ufffd".encode()  # what a beginning ends with that was torn within a character
LOG = "log"
MESSAGE = b'{"'  # how each begins
HOSTS_OWN = "activity"  # a channel that hosts write into, too; it is judged where the words name it


@dataclass(frozen=True, slots=True)
class Fact:
    """A stored event.

    `subject` is "run", "step NAME" or "attempt ID"; `end` says how that ended, and is empty where this is no end. `body` is
    anything that is the same for every watcher (a digest, say). A watcher that is told less than the journal holds
    leaves `name`, `subject` and `end` empty.
    """

    position: int
    name: str = ""
    subject: str = RUN
    end: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Speech:
    """Text of a channel. `offset`: bytes of the channel before it. `merged`: the other positions that it stands for."""

    position: int
    attempt: str
    channel: str
    offset: int
    data: bytes
    merged: tuple[int, ...] = ()


Entry = Fact | Speech
_Channel = tuple[str, str]  # attempt, channel


@dataclass(frozen=True, slots=True)
class RunHistory:
    """A run as it is stored in the end."""

    run: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Visit:
    """One call of a watcher. `after`: the position of its token, 0 for none. `told` is what lies above it, without progress."""

    after: int
    told: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """Everything that one watcher was told of a run. `heard_end`: its last visit ended in order."""

    watcher: str
    run: str
    visits: tuple[Visit, ...]
    heard_end: bool = True


@dataclass(frozen=True, slots=True)
class Words:
    """Holds the output of an attempt, per channel. `kept`: these are all bytes that its shim kept, and not what it tried to say.

    `torn`: a power cut took some of its files. A message of which the disk has only the beginning is no message: it is log.
    """

    attempt: str
    channels: Mapping[str, bytes]
    kept: bool = False
    torn: bool = False


@dataclass(frozen=True, slots=True)
class Lifetime:
    """An agent's life, by one clock for all. `ended` is None for one that lives. One entry for every spawn."""

    attempt: str
    began: float
    ended: float | None


@dataclass(frozen=True, slots=True)
class HostHistory:
    """A host: what it ran, whom it admitted (conductor, epoch) in that order, and what processes were found in the end."""

    name: str
    slots: int
    lifetimes: tuple[Lifetime, ...]
    admitted: tuple[tuple[str, int], ...] = ()
    left_over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is judged. `epochs`: those of a conductor's starts, in that order."""

    runs: tuple[RunHistory, ...]
    watches: tuple[Watch, ...] = ()
    words: tuple[Words, ...] = ()
    hosts: tuple[HostHistory, ...] = ()
    epochs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Holds what came out of a run: its state, each step's state and result (a digest, say), and its report."""

    state: str
    steps: Mapping[str, tuple[str, str]]
    report: str = ""


def find_faults(evidence: Evidence) -> tuple[str, ...]:
    """Returns a sentence for everything that is wrong."""
    return tuple(_find_faults(evidence))


def compare_outcomes(seen: Outcome, undisturbed: Outcome) -> tuple[str, ...]:
    """Says how a run came out otherwise than it does undisturbed."""
    faults = []
    if seen.state != undisturbed.state:
        faults.append(f"it ended as {seen.state}, and {undisturbed.state} when undisturbed")
    faults += [
        f"step {step} gave {seen.steps.get(step)}, and {undisturbed.steps.get(step)} when undisturbed"
        for step in sorted(seen.steps.keys() | undisturbed.steps.keys())
        if seen.steps.get(step) != undisturbed.steps.get(step)
    ]
    if seen.report != undisturbed.report:
        faults.append("its report is not the undisturbed one")
    return tuple(faults)


def _find_faults(evidence: Evidence) -> Iterator[str]:
    histories = {history.run: history for history in evidence.runs}
    for history in evidence.runs:
        yield from _judge_order(history)
        yield from _judge_ends(history)
    yield from _judge_transcripts(evidence)
    for watch in evidence.watches:
        if watch.run in histories:
            yield from _judge_watch(watch, histories[watch.run])
        else:
            yield f"watcher {watch.watcher} was told of run {watch.run}, which is not stored"
    yield from _judge_lives(evidence.hosts)
    yield from _judge_epochs(evidence)


def _judge_order(history: RunHistory) -> Iterator[str]:
    positions: list[int] = []
    lengths: Counter[_Channel] = Counter()
    for entry in history.entries:
        positions.append(entry.position)
        if isinstance(entry, Speech):
            positions.extend(entry.merged)
            channel = entry.attempt, entry.channel
            if entry.offset != lengths[channel]:
                yield f"run {history.run}: position {entry.position} has offset {entry.offset}, {lengths[channel]} is due"
            lengths[channel] = entry.offset + len(entry.data)
    for expected, position in enumerate(sorted(positions), 1):
        if position != expected:
            yield f"run {history.run}: there is position {position} where {expected} is due"
            return


def _judge_ends(history: RunHistory) -> Iterator[str]:
    ended: dict[str, int] = {}
    for entry in history.entries:
        if RUN in ended:
            yield f"run {history.run}: position {entry.position} comes after the end of the run"
        if isinstance(entry, Speech):
            if f"attempt {entry.attempt}" in ended:
                yield f"run {history.run}: {entry.attempt} speaks at {entry.position}, after its end"
        elif entry.end:
            if entry.subject in ended:
                yield f"run {history.run}: {entry.subject} ends at {ended[entry.subject]} and at {entry.position}"
            ended.setdefault(entry.subject, entry.position)
    if RUN in ended:
        begun = {_attempt_of(entry) for entry in history.entries} - {""}
        yield from (f"run {history.run}: {attempt} never ended" for attempt in sorted(begun - ended.keys()))


def _attempt_of(entry: Entry) -> str:
    """The subject of an entry, where that is an attempt."""
    subject = f"attempt {entry.attempt}" if isinstance(entry, Speech) else entry.subject
    return subject if subject.startswith("attempt ") else ""


def _judge_transcripts(evidence: Evidence) -> Iterator[str]:
    stored: defaultdict[str, Counter[str]] = defaultdict(Counter)
    texts: defaultdict[tuple[str, str], bytearray] = defaultdict(bytearray)
    ends: dict[str, str] = {}
    for history in evidence.runs:
        for entry in history.entries:
            if isinstance(entry, Speech):
                texts[entry.attempt, entry.channel] += entry.data
                stored[entry.attempt][entry.channel] += 1
            elif entry.end and entry.subject.startswith("attempt "):
                ends[entry.subject.removeprefix("attempt ")] = entry.end
    for words in evidence.words:
        end = ends.get(words.attempt, "")
        is_whole = end == "succeeded" or (words.kept and end not in {"", LOST})
        for channel in sorted(words.channels.keys() | (stored[words.attempt].keys() - {HOSTS_OWN})):
            said, kept = words.channels.get(channel, b""), bytes(texts[words.attempt, channel])
            if words.torn and channel == LOG:
                kept = kept.partition(MESSAGE)[0]
            if kept != said if is_whole else not said.startswith(kept.removesuffix(CUT_CHARACTER)):
                yield f"{words.attempt} ({end or 'without end'}): {channel} {_difference(kept, said)}"


def _difference(stored: bytes, said: bytes) -> str:
    place = next((at for at, (one, other) in enumerate(zip(stored, said, strict=False)) if one != other), None)
    if place is None:
        return f"has {len(stored)} bytes, and {len(said)} were said"
    return f"differs at byte {place}: {stored[place : place + 40]!r} is stored, {said[place : place + 40]!r} was said"


def _judge_watch(watch: Watch, history: RunHistory) -> Iterator[str]:
    who = f"watcher {watch.watcher} of run {watch.run}"
    last = history.entries[-1].position if history.entries else 0
    place = watch.visits[0].after if watch.visits else 0  # a watcher that begins with a token has it from another
    for visit in watch.visits:
        if visit.after > place:
            yield f"{who} came with {visit.after}, and had been told no more than {place}"
        yield from (f"{who}, after {visit.after}, {fault}" for fault in _judge_visit(visit, history))
        place = visit.told[-1].position if visit.told else visit.after
    if watch.heard_end and place != last:
        yield f"{who} heard the end at {place}; it is at {last}"


def _judge_visit(visit: Visit, history: RunHistory) -> Iterator[str]:
    """Facts one by one; of each channel, that it begins, goes on and stops where it must."""
    positions = [visit.after, *(entry.position for entry in visit.told)]
    for before, now in pairwise(positions):
        if now <= before:
            yield f"was told {now} after {before}"
            return
    told = [entry for entry in visit.told if isinstance(entry, Fact)]
    stored = [
        entry for entry in history.entries if isinstance(entry, Fact) and visit.after < entry.position <= positions[-1]
    ]
    for said, due in zip_longest(told, stored):
        if not _are_same(said, due):
            yield f"was told {said}, and {due} is stored"
            return
    yield from _judge_channels(visit, positions[-1], _Transcripts(history))


def _judge_channels(visit: Visit, last: int, transcripts: "_Transcripts") -> Iterator[str]:
    heard: dict[_Channel, int] = {}
    for entry in visit.told:
        if isinstance(entry, Speech):
            channel = entry.attempt, entry.channel
            at = heard.get(channel)
            is_due = entry.offset in transcripts.lengths_at(channel, visit.after) if at is None else entry.offset == at
            if not is_due:
                yield f"was told {channel} from byte {entry.offset} at {entry.position}, and not where it had been"
                return
            heard[channel] = entry.offset + len(entry.data)
            stored = transcripts.text(channel)[entry.offset : heard[channel]]
            if stored != entry.data:
                yield f"was told {entry.data!r} of {channel} from byte {entry.offset}, and {stored!r} is stored"
    for channel in transcripts.channels:
        due = transcripts.lengths_at(channel, last)
        began = transcripts.lengths_at(channel, visit.after)
        if (heard[channel] not in due) if channel in heard else (began.stop <= due.start):
            yield f"was told {channel} up to byte {heard.get(channel, began.start)}, and {due.start} are stored up to {last}"


class _Transcripts:
    """Knows what each channel of a run held, and how much of it at a position."""

    def __init__(self, history: RunHistory) -> None:
        self._speeches: defaultdict[_Channel, list[Speech]] = defaultdict(list)
        for entry in history.entries:
            if isinstance(entry, Speech):
                self._speeches[entry.attempt, entry.channel].append(entry)
        self._texts = {channel: b"".join(one.data for one in said) for channel, said in self._speeches.items()}

    @property
    def channels(self) -> Iterable[_Channel]:
        return self._texts

    def text(self, channel: _Channel) -> bytes:
        return self._texts.get(channel, b"")

    def lengths_at(self, channel: _Channel, position: int) -> range:
        """Returns how many bytes were there: several answers where the position lies within a text that was merged."""
        low = 0
        for speech in self._speeches.get(channel, ()):
            if position < min((speech.position, *speech.merged)):
                break
            if position < speech.position:
                return range(low, speech.offset + len(speech.data) + 1)
            low = speech.offset + len(speech.data)
        return range(low, low + 1)


def _are_same(told: Fact | None, stored: Fact | None) -> bool:
    if told is None or stored is None:
        return told is stored
    if told.position != stored.position:
        return False
    if told.name and (told.name, told.subject, told.end) != (stored.name, stored.subject, stored.end):
        return False
    return not (told.body and stored.body) or told.body == stored.body


def _judge_lives(hosts: Sequence[HostHistory]) -> Iterator[str]:
    spawned = Counter(life.attempt for host in hosts for life in host.lifetimes)
    for attempt, times in spawned.items():
        if times > 1:
            yield f"{attempt} was spawned {times} times"
    steps: defaultdict[str, list[Lifetime]] = defaultdict(list)
    for host in hosts:
        yield from (f"{left} is left on host {host.name}" for left in host.left_over)
        most = _most_at_once(host.lifetimes)
        if most > host.slots:
            yield f"host {host.name} ran {most} agents at once, in {host.slots} slots"
        for life in host.lifetimes:
            steps[life.attempt.rpartition("-")[0]].append(life)
            if life.ended is None:
                yield f"{life.attempt} still runs on host {host.name}"
    for step, lives in steps.items():
        if _most_at_once(lives) > 1:
            yield f"attempts of {step} ran at the same time"


def _most_at_once(lives: Sequence[Lifetime]) -> int:
    """An end and a beginning at the same moment do not overlap."""
    changes = [(life.began, 1) for life in lives]
    changes += [(life.ended, -1) for life in lives if life.ended is not None]
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def _judge_epochs(evidence: Evidence) -> Iterator[str]:
    for conductor, epochs in evidence.epochs.items():
        if list(epochs) != sorted(set(epochs)):
            yield f"the epochs of conductor {conductor} do not rise: {epochs}"
    for host in evidence.hosts:
        highest: Counter[str] = Counter()
        for conductor, epoch in host.admitted:
            if epoch < highest[conductor]:
                yield f"host {host.name} admitted epoch {epoch} of {conductor} after {highest[conductor]}"
            highest[conductor] = max(highest[conductor], epoch)
