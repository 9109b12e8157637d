Feature: F1 Tokens cannot be forged
  Weight: 0.35

  Scenario: A token of our own
    Given a token that `issue` made for {"sub": "ada"} and 60 seconds
    When `verify` is called with the same key, 59 seconds later
    Then it returns claims with "sub" equal to "ada"

  Scenario Outline: A token that must be refused
    When `verify` is called with <token>
    Then it raises TokenError

    Examples:
      | token                                           |
      | a token whose last letter was changed           |
      | a token whose header says {"alg": "none"}       |
      | a token of another key                          |
      | a token whose time of expiry has passed         |
      | the text "a.b"                                  |

  # Scoring Guide
  #   1.0: the good token is taken and all five others are refused
  #   0.5: one of the five raises another error than TokenError
  #   0.0: any forged or expired token is taken
  # Evidence to Check
  #   auth/jwt.py: which algorithm is trusted, and how signatures are compared
  #   the results of the calls above
  # Red Flags
  #   the algorithm is read from the token
  #   signatures are compared with ==
  #   the key stands in the source
