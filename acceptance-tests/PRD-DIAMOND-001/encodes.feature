Feature: F1 Encodes
  Weight: 0.30

  Scenario Outline: Run lengths
    When `python3 encode.py <text>` is run
    Then stdout is "<code>" and a newline

    Examples:
      | text         | code |
      | aaab         | 3a1b |
      | abc          | 1a1b1c |
      | aaaaaaaaaaaa | 12a  |

  # Scoring Guide
  #   1.0: all three are exact
  #   0.4: counts above nine are wrong
  #   0.0: the first is wrong
  # Evidence to Check
  #   encode.py
  #   stdout of the three commands
  # Red Flags
  #   a table of expected answers in the code
