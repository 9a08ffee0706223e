"""Decides what the gateway does about an endpoint that is asked too fast. Pure.

- A refusal (429, 529) that asks to wait for at most a minute is waited out, and the request is sent again: at most three times,
  before the agent has received a byte. The endpoint is asked nothing meanwhile, by no agent of this host; the
  conductor tells the pool's other hosts.
- A longer wait, a fourth refusal, or a quota that is used up *arms the end*: the agent gets that refusal, and every further request
  of its is answered with 401 by the gateway itself. Agents try a 429 again for minutes; at a 401 they end at once. The next
  prompt of a user begins a turn in which the agent may ask again.
- The attempt's book keeps the endpoint's refusal and its time. So the attempt ends as RATE_LIMITED, and the pool is parked.
"""

from agenthost.core.models.gateway_rules import Refusal

MOST_WAITS = 3
LONGEST_WAIT_SECONDS = 60
UNNAMED_WAIT_SECONDS = 1.0  # doubled with each refusal that names no time

ARMED = Refusal(
    401,
    "rate_limited",
    "the model's endpoint is asked too fast and wants a pause; this attempt ends, and its step is tried again later",
)

# For agents that tell a text twice when they ask again, without a word about it.
CUT = Refusal(
    401,
    "answer_broke_off",
    "the model's endpoint broke its last answer off; this attempt ends, since its agent would tell the text twice",
)


def wait_before_next(asked_seconds: int | None, waits: int) -> float | None:
    """Returns for how long a refused request waits before it is sent again, after so many waits; None where the end is armed."""
    if waits >= MOST_WAITS or (asked_seconds or 0) > LONGEST_WAIT_SECONDS:
        return None
    return UNNAMED_WAIT_SECONDS * 2.0**waits if asked_seconds is None else float(asked_seconds)
