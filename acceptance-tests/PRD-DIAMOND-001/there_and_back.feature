Feature: F3 There and back again
  Weight: 0.40

  Scenario: Texts come back
    When a hundred random texts of letters are encoded and decoded again
    Then every one comes back as it was

  # Scoring Guide
  #   1.0: all come back
  #   0.0: one does not
  # Evidence to Check
  #   the merged tree, with both files
  #   the texts that were tried, and what came back
  # Red Flags
  #   a text that is left out because it fails
