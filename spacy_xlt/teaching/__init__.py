"""Pipelines that were trained as teachers of others, and sources that are chosen for a target language."""
