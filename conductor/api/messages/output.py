"""Shows the output of agents: texts at their places, and activities."""

from collections.abc import Iterable

from conductor.api.messages.names import step_name
from conductor.core.model.activity import Activity, Notice, ToolCall, ToolResult, Usage
from conductor.core.model.output import Channel
from conductor.store.records import StoredOutput
from conductor.v1 import run_service_pb2 as pb

_CHANNELS = {channel: pb.Output.Channel.Value(f"CHANNEL_{channel.name}") for channel in Channel}
_BY_VALUE = {value: channel for channel, value in _CHANNELS.items()}


def output_message(stored: StoredOutput, activities: Iterable[Activity] = ()) -> pb.Output:
    """Shows text at its place, with the activities whose lines end in it."""
    output = stored.output
    return pb.Output(
        attempt=output.attempt,
        step=step_name(output.run, output.step),
        channel=_CHANNELS[output.channel],
        offset=stored.offset,
        text=output.text,
        activities=map(activity_message, activities),
    )


def activity_message(activity: Activity) -> pb.Activity:
    """Shows an activity."""
    match activity:
        case ToolCall(id=call, name=name, arguments=arguments):
            return pb.Activity(tool_call=pb.ToolCall(id=call, name=name, arguments_json=arguments))
        case ToolResult(id=call, failed=failed, text=text):
            return pb.Activity(tool_result=pb.ToolResult(id=call, failed=failed, text=text))
        case Usage(input_tokens=read, output_tokens=written, turns=turns):
            return pb.Activity(usage=pb.Usage(input_tokens=read, output_tokens=written, turns=turns))
        case Notice(kind=kind, text=text):
            return pb.Activity(notice=pb.Notice(kind=pb.Notice.Kind.Value(f"KIND_{kind.name}"), text=text))


def read_channel(value: pb.Output.Channel.ValueType) -> Channel | None:
    """Returns the channel that a value of the API names; None for a value that names none."""
    return _BY_VALUE.get(value)
