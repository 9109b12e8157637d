Feature: F1 The archive holds what is committed
  Weight: 0.60

  Scenario: Names
    When `tar -tzf release.tar.gz` is run
    Then it lists every file of `git ls-tree -r --name-only HEAD`, below release/
    And it lists no other file

  # Scoring Guide
  #   1.0: the two lists agree
  #   0.4: a file is missing, or the folder has another name
  #   0.0: there is no archive, or it holds files that are not committed
  # Evidence to Check
  #   both lists
  # Red Flags
  #   files that are ignored by git, such as keys, in the archive
