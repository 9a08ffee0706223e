"""Rules of access: which role may call which method, and the form of tokens."""
