"""Who may call: the admission of callers, and the tokens by which they are known."""
