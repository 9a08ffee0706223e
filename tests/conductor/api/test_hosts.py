"""What a host tells of its models and trials reaches the API unchanged. Keeps E11."""

import pytest
from google.protobuf.descriptor import Descriptor

from agenthost.v1 import host_service_pb2 as host_pb
from conductor.v1 import pool_service_pb2 as pb


def shared(ours: Descriptor, theirs: Descriptor) -> None:
    """Fails where a field of ours is another one at the host: messages are copied by their numbers."""
    for field in ours.fields:
        told = theirs.fields_by_number[field.number]
        assert (field.name, field.type, field.is_repeated) == (told.name, told.type, told.is_repeated)
        if field.message_type and field.message_type.file.package == "conductor.v1":
            shared(field.message_type, told.message_type)


@pytest.mark.parametrize(("ours", "theirs"), [(pb.HostModel, host_pb.Model), (pb.Trial, host_pb.Trial)])
def test_messages_that_are_copied_by_number_have_the_same_fields(ours: type[pb.Trial], theirs: type[pb.Trial]) -> None:
    shared(ours.DESCRIPTOR, theirs.DESCRIPTOR)
