"""The issue store: beads in `.beads/issues.jsonl`, in the classic format that `bd` reads."""
