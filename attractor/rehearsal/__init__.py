"""The scripted model: real Claude Code against answers that a person wrote, on loopback only."""
