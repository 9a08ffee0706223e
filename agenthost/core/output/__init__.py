"""The way of an agent's output: from spooled bytes through a dialect to numbered frames."""
