Feature: F3 Is tested
  Weight: 0.20

  Scenario: The tests run and mean something
    When `python3 -m unittest` is run
    Then it passes, and has run at least two tests
    And it fails when the exclamation mark is taken out of hello.py

  # Scoring Guide
  #   1.0: the tests pass, and notice the change
  #   0.4: the tests pass, but do not notice the change
  #   0.0: there are no tests, or they fail
  # Evidence to Check
  #   test_hello.py
  #   the output of both runs
  # Red Flags
  #   tests without an assertion
  #   tests that are skipped
