"""Commands that only read git's history are told from all others. Keeps D1."""

import pytest

from agenthost.agents.codex.commands import only_reads_history

READING = """\
git log --oneline -5
git log --oneline | head -3
git show HEAD:README.md | grep -n '(quote)' | wc -l
git blame -L 1,5 README.md && git status
git log --author 'A Person' --grep="a & b; c > d" -S 'x|y'
"""
OTHERS = """\
ls
head README.md
git
git commit -m x
git -c core.pager=sh log
git log > x
git log; rm x
git log & rm x
git log $(rm x)
git log "$(rm x)"
git log `rm x`
git log | sh
git log | tee x
git log || rm x
git log |
git log --output=x
git log '--output=x'
git grep -Osh x
git diff --ext-diff
git log | sort -o x
git log 'open
git log \\
git log --grep "a\\"
(git log)
gitx log
'git' log
"""


@pytest.mark.parametrize("command", READING.splitlines())
def test_reading_the_history_is_reading(command: str) -> None:
    assert only_reads_history(command)


@pytest.mark.parametrize("command", ["", *OTHERS.splitlines(), "git log\nrm x"])
def test_everything_else_is_not(command: str) -> None:
    assert not only_reads_history(command)
