"""Layer 1: the process that decides. It alone writes a run's journal."""
