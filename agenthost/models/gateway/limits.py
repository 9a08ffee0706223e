"""Limits the gateway, in seconds and bytes. The limits of a request are in `core.models.gateway_rules`."""

CHUNK_BYTES = 64 * 1024
MAX_HEAD_BYTES = 64 * 1024  # of a request, and of an answer
MAX_BODY_TO_DISCARD_BYTES = 1024 * 1024  # of a request that is refused
MAX_CONNECTIONS = 64  # of one agent; more wait in the kernel's queue
LEAST_CONNECTIONS = 8  # of one agent, however few files the gateway may open
SHARED_BY_ATTEMPTS = 64  # these share the files that the gateway may open
MAX_ATTEMPTS = 1000
MAX_IDLE_CONNECTIONS = 8  # kept open to one endpoint; more are closed when their answer is complete
JUDGED_AT_ONCE_BYTES = (
    64 * 1024
)  # a body up to here is judged at once, a larger one in a thread: others do not wait for it
LARGE_BODY_BYTES = 1024 * 1024  # a body above this needs room: an attempt holds one, and all attempts together
MAX_LARGE_BODIES = 16
PIECES_AT_ONCE = 256  # of a body, before the other agents' connections have their turn
MAX_LINE_BYTES = 4 * 1024 * 1024  # of what the daemon says

KEEP_SECONDS = 600.0  # that an agent may keep a connection without a request
HEAD_SECONDS = 30.0  # for a whole head, from its first byte
BODY_SECONDS = 60.0  # for a whole body
HEAR_OUT_SECONDS = 5.0  # for the rest of a request that is refused
QUEUE_SECONDS = 600.0  # for a slot of an endpoint, while the agent waits
MAX_AHEAD_BYTES = 64 * 1024  # of what an agent sends while it waits; it is read so that its end is seen
CONNECT_SECONDS = 15.0  # name, connection and TLS together
IDLE_SECONDS = 30.0  # that an idle connection to an endpoint is kept; endpoints keep theirs for longer
SEND_SECONDS = 60.0  # for the endpoint to take the next piece, and for the agent to take a whole answer, beyond the endpoint's time
GONE_SECONDS = 3.0  # for an agent that ended its side to take another piece; then it counts as gone
LOOK_SECONDS = 0.1  # between two looks at whether it is gone
FIRST_ANSWER_SECONDS = 600.0  # models think
SILENCE_SECONDS = 300.0  # between two pieces of an answer
DOOR_SECONDS = 60.0  # for a shim to set its sandbox up and hand the door out
RETRY_SECONDS = 0.2
UNATTENDED_SECONDS = 60.0  # without a daemon and without an attempt
REFUSED_SECONDS = 0.05  # before the next request of an agent that was refused
LINGER_SECONDS = 1.0  # for an agent to read an answer to what it should not have sent
