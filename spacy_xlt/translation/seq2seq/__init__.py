"""Hugging Face sequence-to-sequence models as a translator."""
