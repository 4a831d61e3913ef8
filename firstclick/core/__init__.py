"""Shared by all other packages: settings, the home, errors, logging, waiting."""
