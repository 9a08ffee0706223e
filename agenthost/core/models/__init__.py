"""Decides what an agent may ask a model, and counts what the answers cost."""
