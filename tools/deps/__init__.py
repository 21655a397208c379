"""Fetches what the machine's own suites do not have; see fetch.py."""
