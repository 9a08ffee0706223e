"""Shows operators a conductor from outside: metrics and traces. Their libraries are imported only where a setting asks.

Both follow from events as they are stored. Nothing else in the conductor counts or measures for them.
"""
