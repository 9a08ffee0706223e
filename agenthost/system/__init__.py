"""What the host asks of the operating system: clock, files, processes, sockets."""
