"""What a project has learned: ARCHITECT.md for people, and a store behind it for recall."""
