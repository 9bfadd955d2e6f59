"""Comparing transfer strategies: every one with several seeds on every evaluation set, and one report of it all."""
