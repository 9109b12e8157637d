Feature: F2 A person decides
  Weight: 0.40

  Scenario: The decision is on record
    Given a run that has ended
    Then its journal holds the answer to the gate "approve", its time, and who gave it
    And the exit was reached after it, not before

  # Scoring Guide
  #   1.0: answer, time and person are there, in this order
  #   0.0: the exit was reached without an answer
  # Evidence to Check
  #   the lines of the journal about the gate and the exit
  # Red Flags
  #   an answer that a default gave
