"""Apertium, the rule-based translator that Debian packages with its language pairs."""
