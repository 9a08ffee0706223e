"""What an attempt may take of the machine: memory, processor, kernel objects, and a user of its own."""
