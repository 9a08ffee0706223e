"""The revision of a flow: a digest of what its author wrote, without where it was found."""

import hashlib

from conductor.v1 import flow_service_pb2

# The fields that exist in answers only.
OUTPUT_ONLY = ("revision", "source_path", "layer", "shadows")


def authored(flow: flow_service_pb2.Flow) -> flow_service_pb2.Flow:
    """Returns a copy without the fields that exist in answers only."""
    copy = flow_service_pb2.Flow()
    copy.CopyFrom(flow)
    for name in OUTPUT_ONLY:
        copy.ClearField(name)  # type: ignore[arg-type]
    return copy


def revision_of(flow: flow_service_pb2.Flow) -> str:
    """Returns the SHA-256, in hex, of everything that its author wrote."""
    return hashlib.sha256(authored(flow).SerializeToString(deterministic=True)).hexdigest()
