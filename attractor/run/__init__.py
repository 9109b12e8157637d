"""One run on disk: its states, its journal, its plan and its checkpoints."""
