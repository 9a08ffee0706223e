"""Records attempts as a host of today tells them, and what a conductor of today makes of them. Needs what `make_host` makes."""

import shutil
from base64 import b64encode
from pathlib import Path

from google.protobuf.json_format import MessageToDict

from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.running_host import make_repository
from tests.yesterday.archive import keep, recall, unpack
from tests.yesterday.ends import responses_of
from tests.yesterday.host_world import reopened
from tests.yesterday.replaying import ReplayingHost, replay

PLACE = Path("/tmp/wire-yesterday")
_WHO = {"conductor_id": "conductor-1", "epoch": 5, "instance": "0123"}
# Beside Start and Ack, which are recorded.
REQUESTS = (
    pb.ExecuteRequest(resume=pb.Resume(execution="run-look-1", after_sequence=7), **_WHO),
    pb.ExecuteRequest(input=pb.Input(input_sequence=2, text="Grüße→"), **_WHO),
    pb.ExecuteRequest(cancel=pb.Cancel(reason="enough"), **_WHO),
)


async def make(target: Path) -> None:
    """Writes the frames of whole attempts, the requests of a conductor, and what is read of the attempts then."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    unpack(target / "host.tar.xz", PLACE / "data")
    async with reopened(PLACE, make_repository(PLACE / "repository")) as client:
        frames = {
            execution.split("-")[1]: [
                b64encode(frame.SerializeToString(deterministic=True)).decode()
                for frame in await responses_of(client, execution)
            ]
            for execution in recall(target / "host.json.xz")["frames"]
        }
    (PLACE / "conductor").mkdir()
    host = ReplayingHost(frames)
    read = await replay(PLACE / "conductor", host)
    host.requests |= {str(request.WhichOneof("frame")): request.SerializeToString() for request in REQUESTS}
    requests = {
        kind: [b64encode(request).decode(), MessageToDict(pb.ExecuteRequest.FromString(request))]
        for kind, request in host.requests.items()
    }
    keep({"frames": frames, "read": read, "requests": requests}, target / "wire.json.xz")
    shutil.rmtree(PLACE)
