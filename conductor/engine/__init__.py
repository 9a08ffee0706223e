"""The loop that takes inputs, asks the core, stores events and then sends commands; and what feeds it."""
