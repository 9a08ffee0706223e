"""What an agent may ask a model, and what the answers cost."""
