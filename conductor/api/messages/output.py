"""What agents say, as the API shows it."""

from conductor.api.messages.names import step_name
from conductor.core.model.output import Channel
from conductor.store.records import StoredOutput
from conductor.v1 import run_service_pb2 as pb

_CHANNELS = {channel: pb.Output.Channel.Value(f"CHANNEL_{channel.name}") for channel in Channel}
_BY_VALUE = {value: channel for channel, value in _CHANNELS.items()}


def output_message(stored: StoredOutput) -> pb.Output:
    """Shows text at its place."""
    output = stored.output
    return pb.Output(
        attempt=output.attempt,
        step=step_name(output.run, output.step),
        channel=_CHANNELS[output.channel],
        offset=stored.offset,
        text=output.text,
    )


def read_channel(value: pb.Output.Channel.ValueType) -> Channel | None:
    """Returns the channel that a value of the API names; None for a value that names none."""
    return _BY_VALUE.get(value)
