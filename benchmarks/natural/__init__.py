"""Texts that nobody planted anything in: what guidance and its rivals are worth there."""
