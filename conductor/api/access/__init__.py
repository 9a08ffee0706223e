"""Who may call: the door of a conductor with TLS, the admission of callers, and the tokens by which they are known."""
