"""A goal becomes a plan: what the project is, what the planner says, and what code checks of it."""
