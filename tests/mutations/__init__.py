"""Whether the tests bite: small wrong edits, each of which some test has to catch."""
