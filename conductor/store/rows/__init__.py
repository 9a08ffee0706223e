"""Rows as every engine keeps them: how they are read, packed and projected, without a connection. Only values come and go."""
