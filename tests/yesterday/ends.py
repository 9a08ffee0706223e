"""Attempts that ended on a host of yesterday and that no conductor acknowledged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from agenthost.agent_specs import BUILT_IN
from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.running_host import Client

THINKER, SECRETIVE = "thinker", "secretive"
SECRET_NAME, SECRET = "SECRET_OF_YESTERDAY", "hush-this-was-yesterday"
KEY_NAME = "KEY_OF_YESTERDAY"
EPOCH = 5


@dataclass(frozen=True)
class End:
    """An attempt: its script, what else its Start holds, and what its client does until it ends."""

    step: str
    script: tuple[str, ...]
    start: Mapping[str, Any] = field(default_factory=dict)
    inputs: int = 0
    cancels: bool = False
    leaves_after: str = ""  # a text, when the client goes


ENDS = (
    End("said", ("reason hm", "say Grüße→ 🦀", "tool t1 read", "usage 10 20", "deny write", "stderr oh",
                 "finding high README.md 1 1 Title", "say all")),
    End("broken_lines", ("say one", "json {", "json {", "bytes ff0a", "say two")),
    End("exits", ("say so far", "exit 3")),
    End("killed", ("say so far", "signal KILL")),
    End("says_nothing", ("reason hm",)),
    End("truncated", ("say 0123456789abcdef", "say more"), {"max_answer_bytes": 10}),
    End("too_large", ("say so far", "flood 200000", "hang"), {"max_output_bytes": 65536}),
    End("step_timeout", ("say so far", "hang"), {"timeout": "0.4s"}),
    End("idle_timeout", ("say so far", "hang"), {"idle_timeout": "0.4s"}),
    End("first_output_timeout", ("hang",), {"first_output_timeout": "0.4s"}),
    End("cancelled", ("say so far", "hang"), cancels=True),
    End("orphaned", ("say so far", "hang"), {"orphan_timeout": "0.5s"}, leaves_after="so far"),
    End("left", ("say one", "sleep 0.5", "say two", "reason three"), leaves_after="one"),
    End("asked", ("echo-input 2", "say done"), inputs=2),
    End("masked", ("env",), {"agent": SECRETIVE}),
    End("model_used", ("fetch POST /v1/chat/completions {}",), {"agent": THINKER}),
    End("model_busy", ("fetch POST /v1/chat/completions {}", "exit 1"), {"agent": THINKER}),
    End("model_refused", ("fetch POST /v1/chat/completions {}", "exit 1"), {"agent": THINKER}),
    End("shim_killed", ("say so far", "hang"), leaves_after="so far"),
    End("spool_damaged", ("say so far", "say more")),
)  # fmt: skip


def write_agents(folder: Path, *names: str) -> Path:
    """Writes specs of the scripted agent: one with a model, and one with a secret."""
    folder.mkdir(parents=True)
    spec = (BUILT_IN / "scripted.toml").read_text().replace('install = "."', f'install = "{BUILT_IN}"')
    spec = spec.replace("turns = true\n", "")  # which hosts of yesterday do not know
    model = f'network = "model"\nmodel = "{THINKER}"'
    secret = f'\n[environment]\nsecret = ["{SECRET_NAME}"]\n'
    specs = {THINKER: spec.replace('network = "none"', model), SECRETIVE: spec + secret}
    for name in names or specs:
        (folder / f"{name}.toml").write_text(specs[name].replace('"scripted"', f'"{name}"'))
    return folder


async def frames_of(client: Client, execution: str, after: int = 0) -> list[dict[str, Any]]:
    """Reads what is told of an attempt after a number, to its end, and acknowledges nothing."""
    return [lasting(frame) for frame in await responses_of(client, execution, after)]


async def responses_of(client: Client, execution: str, after: int = 0) -> list[pb.ExecuteResponse]:
    """Reads the same frames as messages."""
    resume = pb.Resume(execution=execution, after_sequence=after)
    async with client.open(resume=resume, epoch=EPOCH) as conversation:
        await conversation.until(lambda frame: frame.HasField("finished"))
        return conversation.frames


def lasting(frame: pb.ExecuteResponse) -> dict[str, Any]:
    """Returns a frame without the texts that the host words when it tells the frame; an agent's texts stay."""
    told = MessageToDict(frame)
    if "finished" in told:
        told["finished"].pop("message", None)
        checks = told["finished"].get("attestation", {}).get("checks", [])
        told["finished"].setdefault("attestation", {})["checks"] = [
            check for check in checks if not check.startswith("snapshot: ")
        ]
    if told.get("notice", {}).get("kind", "KIND_DENIAL") != "KIND_DENIAL":
        told["notice"].pop("text")
    return told


def without_time(frames: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Returns frames without their times."""
    for frame in frames:
        yield {name: value for name, value in frame.items() if name != "time"}
