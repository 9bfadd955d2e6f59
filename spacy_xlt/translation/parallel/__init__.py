"""Translations that already exist: translation memories and line-parallel files."""
