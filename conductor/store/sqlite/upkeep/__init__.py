"""Upgrades, copies and examines databases."""
