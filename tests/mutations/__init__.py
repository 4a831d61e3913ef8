"""Mutation tests: small wrong edits, each of which some test must catch."""
