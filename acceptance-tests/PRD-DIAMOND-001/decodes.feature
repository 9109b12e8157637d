Feature: F2 Decodes, and refuses what is no code
  Weight: 0.30

  Scenario Outline: Texts
    When `python3 decode.py <code>` is run
    Then stdout is "<text>" and a newline

    Examples:
      | code   | text         |
      | 3a1b   | aaab         |
      | 12a    | aaaaaaaaaaaa |

  Scenario: No code
    When `python3 decode.py a3` is run
    Then stdout is empty, and the exit status is 2

  # Scoring Guide
  #   1.0: both scenarios hold
  #   0.5: codes are decoded, but something that is no code is taken
  #   0.0: the first code is decoded wrongly
  # Evidence to Check
  #   decode.py
  #   stdout, stderr and exit status of the three commands
  # Red Flags
  #   a traceback on stderr
