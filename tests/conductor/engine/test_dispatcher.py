"""Commands reach the part that carries them out, at once."""

from conductor.core.conversation import ExecutionCommand
from conductor.core.model.commands import AckExecution, CancelExecution, Evaluate, ResumeExecution, StartExecution
from conductor.core.model.events.event_parts import StartSpec
from conductor.core.model.work import Work, WorkKind
from conductor.engine.dispatcher import Dispatcher


class Link:
    def __init__(self) -> None:
        self.posted: list[ExecutionCommand] = []

    def post(self, command: ExecutionCommand) -> None:
        self.posted.append(command)


class Evaluator:
    def __init__(self) -> None:
        self.asked: list[Work] = []

    def ask(self, work: Work) -> None:
        self.asked.append(work)


class World:
    def __init__(self) -> None:
        self.north, self.south, self.evaluator = Link(), Link(), Evaluator()
        posts = {"north": self.north.post, "south": self.south.post}
        self.dispatcher = Dispatcher(posts, self.evaluator)


def start(host: str) -> StartExecution:
    return StartExecution(host, StartSpec("a", "survey", "p", "c", (), 1.0, 1.0))


def test_each_host_gets_its_own_commands() -> None:
    """Keeps D3."""
    world = World()
    to_north = [start("north"), CancelExecution("north", "a", "enough"), AckExecution("north", "a", 3)]
    to_south = [ResumeExecution("south", "b", 4)]
    for command in (*to_north, *to_south):
        world.dispatcher.send(command)

    assert world.north.posted == to_north
    assert world.south.posted == to_south


def test_work_goes_to_the_evaluator() -> None:
    world = World()
    work = Work("r", WorkKind.PROMPT, "a")

    world.dispatcher.send(Evaluate(work))

    assert world.evaluator.asked == [work]


def test_a_command_without_a_host_goes_to_every_host() -> None:
    world = World()
    command = AckExecution("", "a", 3, finished=True)

    world.dispatcher.send(command)

    assert world.north.posted == world.south.posted == [command]


def test_a_command_for_a_host_that_is_not_driven_any_more_is_dropped() -> None:
    """Keeps C3: the host counts as silent, and its attempts are given up only after their agents have surely ended."""
    world = World()
    for command in (start("east"), ResumeExecution("east", "b", 1), CancelExecution("east", "c", "enough")):
        world.dispatcher.send(command)

    assert world.north.posted == world.south.posted == []
