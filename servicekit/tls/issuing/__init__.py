"""The pool's own CA: the certificates that it signs, the bundles that carry them, and how their holders join."""
