"""Holds what the agents are asked to do, and, byte for byte, what they will have said when they are done.

A scenario is a flow of scripted agents. Undisturbed it takes a few seconds and always ends with the same report. `says` is
what each agent will have answered; it is reckoned here, from the same lines that the agent gets, and not read from any service.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from conductor.v1.flow_service_pb2 import AgentWork, Flow, FlowWork, FoldWork, GateWork, OutputSpec
from conductor.v1.run_service_pb2 import CreateRunRequest, Run, Workspace

WORKSPACE_TEXT = "one\ntwo\nthree\nfour\nfive\n"
STEADY = ("one", "two", "three", "four", "five", "six", "seven", "eight")
ACCENTS = "grüße → 日本語 🦀 "


class Caller(Enum):
    """Names who asks for a scenario. A world has all of them at work all the time, so that every crash point is always near."""

    ANY = auto()
    FICKLE = auto()  # cancels what it asked for
    HASTY = auto()  # something begins or ends all the time
    PATIENT = auto()  # there are always agents who speak


_PLACE = '{"path": "nowhere.py", "start_line": 1, "end_line": 1, "quote": "invented"}'
_INVENTED = f'{{"findings": [{{"severity": "low", "title": "A lie", "claim": "It is none.", "evidence": [{_PLACE}]}}]}}'
_VERDICT = OutputSpec()
_VERDICT.schema.update({"type": "object", "required": ["verdict"], "properties": {"verdict": {"enum": ["UNSURE"]}}})


@dataclass(frozen=True, slots=True)
class Speech:
    """Lines for an agent, and what it answers when it has done them."""

    lines: tuple[str, ...] = ()
    says: str = ""

    def __add__(self, other: "Speech") -> "Speech":
        return Speech(self.lines + other.lines, self.says + other.says)


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """A flow, what its agents will have answered, and how it ends, and who asks for it. `calls`: what its steps call, by step."""

    name: str
    steps: tuple[Flow.Step, ...]
    says: Mapping[str, str]
    ends: "Run.State.ValueType" = Run.STATE_SUCCEEDED
    caller: Caller = Caller.ANY
    calls: Mapping[str, "Scenario"] = field(default_factory=dict)

    @property
    def fails(self) -> bool:
        """Returns whether a step of it fails it, and so ends the others."""
        return self.ends == Run.STATE_FAILED

    @property
    def to_be_cancelled(self) -> bool:
        """Returns whether a caller will cancel it."""
        return self.caller is Caller.FICKLE

    def request(self, workspace: Path, request_id: str) -> CreateRunRequest:
        asked = CreateRunRequest(inline=self.flow(), workspace=Workspace(path=str(workspace)), request_id=request_id)
        for part in self.parts():
            asked.library.flows[f"flows/{part.name}"].CopyFrom(part.flow())
        return asked

    def flow(self) -> Flow:
        return Flow(name=f"flows/{self.name}", title=self.name, steps=self.steps)

    def parts(self) -> Iterator["Scenario"]:
        """Yields all that it calls, directly or not."""
        for part in self.calls.values():
            yield part
            yield from part.parts()


def make_workspace(folder: Path) -> Path:
    """Makes the folder that the agents read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "readme.txt").write_text(WORKSPACE_TEXT)
    return folder


def say(text: str) -> Speech:
    return Speech((f"say {text}",), f"{text}\n")


def sleep(seconds: float) -> Speech:
    return Speech((f"sleep {seconds}",))


def drip(words: int, pause: float) -> Speech:
    """A token now and then, as a model speaks."""
    return _joined(
        Speech((f"token {number}{ACCENTS.strip()}", f"sleep {pause}"), f"{number}{ACCENTS.strip()}")
        for number in range(words)
    )


def burst(lines: int) -> Speech:
    """Many lines at once."""
    return Speech(
        (f"repeat {lines} say {{n}} {ACCENTS.strip()}",), "".join(f"{n} {ACCENTS.strip()}\n" for n in range(lines))
    )


def flood(size: int) -> Speech:
    """One very long line."""
    return Speech((f"fill {size}",), "x" * size)


def torn(text: str, pause: float) -> Speech:
    """A line of output that arrives byte by byte, torn inside of characters."""
    line = json.dumps({"type": "answer", "text": text}, ensure_ascii=False).encode() + b"\n"
    pieces = [line[at : at + 5] for at in range(0, len(line), 5)]
    return Speech(tuple(part for piece in pieces for part in (f"bytes {piece.hex()}", f"sleep {pause}")), text)


def _joined(speeches: object) -> Speech:
    whole = Speech()
    for speech in speeches:  # type: ignore[attr-defined]
        whole += speech
    return whole


def _step(name: str, speech: Speech, *more: str, needs: tuple[str, ...] = (), may_fail: bool = False) -> Flow.Step:
    prompt = "\n".join(["#scripted", *speech.lines, *more])
    on_failure = Flow.ON_FAILURE_CONTINUE if may_fail else Flow.ON_FAILURE_FAIL
    work = AgentWork(agents=["scripted"], prompt=prompt, max_attempts=10)
    return Flow.Step(id=name, needs=needs, agent=work, on_failure=on_failure)


def _fold(name: str, *needs: str) -> Flow.Step:
    told = "\n".join(f"{need}: {{{{ steps.{need}.text }}}}" for need in needs)
    return Flow.Step(id=name, needs=needs, fold=FoldWork(template=told))


def _talk() -> Scenario:
    speeches = {
        "drip": drip(60, 0.06),
        "bursts": burst(300) + sleep(1.0) + burst(300) + sleep(1.0) + burst(300) + sleep(1.0) + say("done"),
        "long": flood(200_000) + sleep(1.5) + flood(100_000) + sleep(1.0) + say(""),
        "torn": torn(ACCENTS * 6, 0.04),
    }
    steps = [_step(name, speech, "reason why", "log what", "usage 3 5") for name, speech in speeches.items()]
    return Scenario("talk", (*steps, _fold("all", "drip", "torn")), _says(speeches))


def _failing() -> Scenario:
    """Steps that end badly in their own ways, which the run survives, beside some that do not."""
    speeches = {
        "good": drip(25, 0.08),
        "exits": drip(15, 0.08),
        "dies": drip(12, 0.08),
        "late": say("late") + sleep(0.5) + say("later"),
    }
    steps = (
        _step("good", speeches["good"]),
        _step("exits", speeches["exits"], "exit 3", may_fail=True),
        _step("dies", speeches["dies"], "signal KILL", may_fail=True),
        _step("late", speeches["late"], needs=("exits", "dies")),
        _fold("all", "good", "exits", "dies", "late"),
    )
    return Scenario("failing", steps, _says(speeches))


def _chain() -> Scenario:
    """Each step needs the one before; findings are checked on the way."""
    speeches = {"first": drip(10, 0.08), "second": drip(10, 0.08), "third": drip(8, 0.08), "beside": drip(30, 0.1)}
    finding, invention = "finding high readme.txt 2 3 It says two", "invent low readme.txt 1 1 It says nothing"
    steps = (
        _step("first", speeches["first"], finding),
        _step("second", speeches["second"], invention, needs=("first",)),
        _step("third", speeches["third"], finding, needs=("second",)),
        _step("beside", speeches["beside"], "deny something"),
        _fold("all", "third", "beside"),
    )
    return Scenario("chain", steps, _says(speeches))


def _doomed() -> Scenario:
    """One step fails the run; the others would go on for ever."""
    speeches = {"fails": drip(25, 0.08), "one": Speech(), "two": Speech()}
    steps = (
        _step("fails", speeches["fails"], "exit 4"),
        _step("one", speeches["one"], "hang"),
        _step("two", speeches["two"], "ignore TERM", "fork 2", "hang"),
    )
    return Scenario("doomed", steps, _says(speeches), ends=Run.STATE_FAILED)


def _cancelled() -> Scenario:
    """Goes on until a caller ends it; one agent ignores signals and has children of its own."""
    speeches = {"one": drip(600, 0.05), "two": drip(600, 0.05), "deaf": say("deaf") + drip(600, 0.05)}
    steps = (
        _step("one", speeches["one"], "hang"),
        _step("two", speeches["two"], "hang"),
        Flow.Step(
            id="deaf",
            agent=AgentWork(
                agents=["scripted"],
                prompt="\n".join(["#scripted", "ignore TERM", "fork 2", *speeches["deaf"].lines, "hang"]),
                max_attempts=10,
            ),
        ),
    )
    return Scenario("cancelled", steps, _says(speeches), ends=Run.STATE_CANCELLED, caller=Caller.FICKLE)


def _stopped() -> Scenario:
    """Goes on until a caller ends it, and that is soon done."""
    speeches = {"one": drip(600, 0.05), "two": drip(600, 0.05)}
    steps = tuple(_step(name, speech, "hang") for name, speech in speeches.items())
    return Scenario("stopped", steps, _says(speeches), ends=Run.STATE_CANCELLED, caller=Caller.FICKLE)


def _brisk() -> Scenario:
    """Short steps, that are soon over."""
    speeches = {"first": drip(4, 0.08), "second": say("second"), "beside": drip(6, 0.08)}
    steps = (
        _step("first", speeches["first"]),
        _step("second", speeches["second"], needs=("first",)),
        _step("beside", speeches["beside"]),
        _fold("all", *speeches),
    )
    return Scenario("brisk", steps, _says(speeches), caller=Caller.HASTY)


def _steady(words: int) -> Scenario:
    """Agents who speak for long."""
    speeches = {name: drip(words, 0.12) for name in STEADY}
    return Scenario(
        "steady",
        (*(_step(name, speech) for name, speech in speeches.items()), _fold("all", *speeches)),
        _says(speeches),
        caller=Caller.PATIENT,
    )


def _mending() -> Scenario:
    """Agents whose first answer cannot be used, and who repair it: while they wait, or in an attempt of its own if they died."""
    speeches = {name: drip(12, 0.08) for name in ("one", "two", "three")}
    bad = Speech(("reason why", "sleep 0.3", 'first final {"findings": "none"}', "first turn"))
    good = ('final {"findings": []}', "first turn", "exit 0")
    steps = [_step(name, bad + speech, *good) for name, speech in speeches.items()]
    typed, evident = drip(6, 0.08), drip(8, 0.08)
    steps += [
        _typed(
            "typed",
            _VERDICT,
            Speech(('first final {"verdict": "MAYBE"}', "first turn")) + typed,
            'final {"verdict": "UNSURE"}',
        ),
        _typed(
            "evident", OutputSpec(findings=True), Speech((f"first final {_INVENTED}", "first turn")) + evident, good[0]
        ),
    ]
    speeches |= {"typed": typed, "evident": evident}
    return Scenario("mending", (*steps, _fold("all", *speeches)), _says(speeches))


def _typed(name: str, output: OutputSpec, speech: Speech, answer: str) -> Flow.Step:
    """A step whose first answer lacks its form, or its evidence."""
    step = _step(name, Speech(("reason why", "sleep 0.3")) + speech, answer, "first turn", "exit 0")
    step.agent.output.CopyFrom(output)
    return step


def _calling() -> Scenario:
    """Calls a flow that calls another, beside an agent; what they answer goes up."""
    low = {"first": drip(8, 0.08), "second": drip(6, 0.08)}
    finding = "finding high readme.txt 2 3 It says two"
    lowest = Scenario(
        "lowest",
        (_step("first", low["first"], finding), _step("second", low["second"], needs=("first",)), _fold("all", *low)),
        _says(low),
    )
    mid = {"before": drip(6, 0.08)}
    middle = Scenario(
        "middle",
        (_step("before", mid["before"]), _call("lower", lowest, "before"), _fold("all", "before", "lower")),
        _says(mid),
        calls={"lower": lowest},
    )
    top = {"beside": drip(20, 0.08), "after": drip(4, 0.08)}
    steps = (
        _step("beside", top["beside"]),
        _call("part", middle),
        _call("again", lowest, "part"),
        _step("after", top["after"], needs=("part",)),
        _fold("all", "part", "again", "beside", "after"),
    )
    return Scenario("calling", steps, _says(top), calls={"part": middle, "again": lowest})


def _halted() -> Scenario:
    """Calls a flow that goes on until a caller ends the run."""
    low = {"one": drip(600, 0.05), "deaf": say("deaf") + drip(600, 0.05)}
    endless = Scenario(
        "endless",
        (_step("one", low["one"], "hang"), _step("deaf", Speech(("ignore TERM", "fork 2")) + low["deaf"], "hang")),
        _says(low),
        ends=Run.STATE_CANCELLED,
        caller=Caller.FICKLE,
    )
    return Scenario(
        "halted",
        (_call("part", endless),),
        {},
        ends=Run.STATE_CANCELLED,
        caller=Caller.FICKLE,
        calls={"part": endless},
    )


def _call(name: str, part: Scenario, *needs: str) -> Flow.Step:
    return Flow.Step(id=name, needs=needs, flow=FlowWork(flow=part.name))


def _asking() -> Scenario:
    """An agent whose words a person reads before another one begins, beside one that goes on meanwhile."""
    speeches = {"plan": drip(4, 0.08), "after": drip(4, 0.08), "beside": drip(12, 0.08)}
    show = Flow.Step(id="go", needs=("plan",), gate=GateWork(title="Go on?", show="It said: {{ steps.plan.text }}"))
    steps = (
        _step("plan", speeches["plan"]),
        show,
        _step("after", speeches["after"], needs=("go",)),
        _step("beside", speeches["beside"]),
        _fold("all", "go", "after", "beside"),
    )
    return Scenario("asking", steps, _says(speeches), caller=Caller.HASTY)


def _says(speeches: Mapping[str, Speech]) -> Mapping[str, str]:
    return {name: speech.says for name, speech in speeches.items()}


SCENARIOS = (
    *(_talk(), _chain(), _cancelled(), _failing(), _doomed(), _stopped(), _brisk(), _steady(120), _mending()),
    *(_calling(), _halted(), _asking()),
)
FEW_SCENARIOS = SCENARIOS[:3]
# Those that take few seconds, also in a world that must not take long.
BRIEF_SCENARIOS = (*(one for one in SCENARIOS if one.caller is not Caller.PATIENT), _steady(40))
