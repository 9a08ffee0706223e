"""Reads pages by key, each in one transaction that only reads."""
