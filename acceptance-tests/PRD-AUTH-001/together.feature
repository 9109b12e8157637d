Feature: F4 The three work together
  Weight: 0.20

  Scenario: In, stay, out
    Given a service that puts the three modules together
    When "ada" logs in, asks twice, logs out, and asks again
    Then the first two requests are served
    And the last one is refused

  # Scoring Guide
  #   1.0: the whole story holds, as a test of the project
  #   0.5: it holds by hand, but no test tells it
  #   0.0: it does not hold
  # Evidence to Check
  #   tests/ and their output
  #   a run of the story above
  # Red Flags
  #   a test that replaces one of the three modules
