"""Firefox Translations (Bergamot, Marian) models, read into PyTorch."""
