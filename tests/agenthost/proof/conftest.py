import pytest

from agenthost.proof.probe import Proof, prove


@pytest.fixture
def proof() -> Proof:
    """Each host here proves its own sandbox."""
    return prove
