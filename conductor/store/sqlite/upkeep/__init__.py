"""Brings a database to the present version, and copies it."""
