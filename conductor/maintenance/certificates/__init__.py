"""The pool's own CA in a conductor's data folder: issues, renews, revokes, and is itself replaced."""
