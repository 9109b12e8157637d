"""The longer texts of `attractor bd`: what an agent is told, and a first tour."""

PRIME = """\
# Beads: what is to be done is in `.beads/issues.jsonl`

Track work that outlives this conversation as beads, with `{bd}` (it takes bd's verbs and flags).

1. `{bd} ready` shows what can be started; `{bd} show ID` says all about it.
2. `{bd} update ID --claim` makes it yours. If that is refused, somebody else has it: take another.
3. Work. What you find on the way: `{bd} create "Title" --deps discovered-from:ID`.
4. `{bd} close ID --reason "what was done"`, and commit `.beads/issues.jsonl` with the code.

`{bd} dep add ID NEEDED` makes ID wait for NEEDED. `{bd} blocked` shows what waits.
Every verb takes `--json`. Exit status 1 means refused, with the reason on stderr.
"""

QUICKSTART = """\
Beads: issues that live in your repository, one a line in .beads/issues.jsonl

  {bd} init                        make .beads/ here
  {bd} create "Fix the door" -p 1 -t bug
  {bd} create "Oil the hinges" --parent ID
  {bd} dep add ID NEEDED           ID waits for NEEDED
  {bd} ready                       what can be worked on now
  {bd} update ID --claim           take one
  {bd} close ID --reason "done"    finish it
  {bd} merge-driver --install      branches that both change beads merge without conflicts

Commit .beads/ as you commit code: there is no daemon, no database and nothing to synchronise.
"""
