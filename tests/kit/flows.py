"""Small flows with the scripted agent, for tests that look from outside."""

from pathlib import Path

from conductor.v1.flow_service_pb2 import AgentWork, Flow, FoldWork
from conductor.v1.run_service_pb2 import CreateRunRequest, Workspace


def scripted(step: str, *directives: str, needs: tuple[str, ...] = (), **fields: object) -> Flow.Step:
    """A step whose agent does what its directives say, one a line (see agenthost/agents/scripted.py)."""
    prompt = "\n".join(["#scripted", *directives])
    return Flow.Step(id=step, needs=needs, agent=AgentWork(agents=["scripted"], prompt=prompt), **fields)  # type: ignore[arg-type]


def fold(step: str, template: str, *needs: str) -> Flow.Step:
    """A step that renders a template."""
    return Flow.Step(id=step, needs=needs, fold=FoldWork(template=template))


def request(workspace: Path, *steps: Flow.Step, **fields: object) -> CreateRunRequest:
    """A request that runs these steps inline over a directory."""
    flow = Flow(name="flows/inline", title="A test", steps=steps)
    return CreateRunRequest(inline=flow, workspace=Workspace(path=str(workspace)), **fields)  # type: ignore[arg-type]


def plain_workspace(folder: Path) -> Path:
    """A directory without git that holds one file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "readme.txt").write_text("one\ntwo\nthree\n")
    return folder
