"""Layer 2: the process that watches one orchestrator. It reports; it never judges."""
