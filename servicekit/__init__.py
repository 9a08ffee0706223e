"""What both services stand on and neither owns: addresses, channels, statuses, reflection, logs and trusted programs.

Imports neither service. Each module stands alone; nothing here knows a run, an agent or a database.
"""
