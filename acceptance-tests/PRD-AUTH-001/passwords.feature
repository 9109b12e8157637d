Feature: F2 Passwords are kept and checked safely
  Weight: 0.25

  Scenario: Right and wrong
    Given "ada" with the password "correct horse"
    Then login("ada", "correct horse") succeeds
    And login("ada", "wrong") and login("bob", "wrong") give equal answers

  Scenario: What is stored
    Then the store holds a different salt for each name
    And the hash is scrypt, bcrypt or argon2, never a plain digest

  # Scoring Guide
  #   1.0: both scenarios hold, and an unknown name costs a hash too
  #   0.6: both scenarios hold, but an unknown name is answered at once
  #   0.0: a password can be read, or a wrong one is taken
  # Evidence to Check
  #   auth/login.py: the hash, the salt, and the path for an unknown name
  #   the results of the calls above
  # Red Flags
  #   a digest such as sha256 without a slow function
  #   different messages for a wrong name and a wrong password
