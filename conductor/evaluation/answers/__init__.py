"""Answers of agents: where a result stands in their text, whether it has its form, and the request to repair it."""
