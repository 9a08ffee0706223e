import pytest


@pytest.fixture(autouse=True)
def own_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps a command that runs in this process from sending the process's logs to its own stderr, which ends with the test."""
    monkeypatch.setattr("servicekit.logs.configure_logs", lambda *_: None)
