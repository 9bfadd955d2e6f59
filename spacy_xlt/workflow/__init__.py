"""Whole projects: what `spacy xlt init` writes, and `spacy xlt transfer` runs."""
