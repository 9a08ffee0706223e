"""The parts that both services share: addresses, channels, statuses, reflection, logs, git and other trusted programs.

It imports neither service. Each module stands alone; nothing here knows a run, an agent or a database.
"""
