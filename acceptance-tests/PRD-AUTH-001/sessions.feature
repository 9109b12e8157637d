Feature: F3 Sessions end
  Weight: 0.20

  Scenario: A session that was ended
    Given a session of "ada"
    When it is ended
    Then find_session with its id finds nothing

  Scenario: Ids
    When a thousand sessions are opened
    Then their ids are all different, and have at least 128 random bits

  # Scoring Guide
  #   1.0: both scenarios hold
  #   0.4: ids come from a generator that is not meant for secrets
  #   0.0: an ended session is found
  # Evidence to Check
  #   auth/session.py: where ids come from, and what ending does
  #   the results of the calls above
  # Red Flags
  #   random.random or a counter as an id
  #   ending only sets a flag that finding does not ask for
