Feature: F1 Greets by name
  Weight: 0.50

  Scenario: A name is given
    Given the worktree of the work under judgement
    When `python3 hello.py Ada` is run
    Then stdout is exactly "Hello, Ada!" and a newline
    And the exit status is 0

  Scenario: A name with spaces and letters beyond ASCII
    When `python3 hello.py "Zoë van Dyk"` is run
    Then stdout is exactly "Hello, Zoë van Dyk!" and a newline

  # Scoring Guide
  #   1.0: both outputs are exact
  #   0.6: the greeting is right, its punctuation or newline is not
  #   0.3: the name with spaces or letters beyond ASCII is mangled
  #   0.0: there is no greeting, or the command fails
  # Evidence to Check
  #   hello.py, where the text is put together
  #   stdout and exit status of the two commands above
  # Red Flags
  #   a greeting with a fixed name
  #   output that a test patches in
