"""The commands that people type: one file per verb, each imported only when it is called."""
