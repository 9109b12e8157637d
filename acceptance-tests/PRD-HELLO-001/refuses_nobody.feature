Feature: F2 Refuses to greet nobody
  Weight: 0.30

  Scenario: No name
    When `python3 hello.py` is run
    Then stdout is empty
    And stderr is one line that says how the command is used
    And the exit status is 2

  Scenario: An empty name
    When `python3 hello.py ""` is run
    Then stdout is empty
    And the exit status is 2

  # Scoring Guide
  #   1.0: both calls are refused as described
  #   0.5: one of them is refused, or the exit status is another than 2
  #   0.0: somebody nameless is greeted, or a traceback is shown
  # Evidence to Check
  #   hello.py, where the arguments are read
  #   stdout, stderr and exit status of the two commands above
  # Red Flags
  #   a traceback on stderr
  #   an exit status of 0
