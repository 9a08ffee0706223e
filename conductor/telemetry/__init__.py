"""What operators see of a conductor from outside: metrics. Each is imported only where a setting asks for it.

Metrics count events as they are stored. Nothing else in the conductor counts for them.
"""
