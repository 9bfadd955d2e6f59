"""Projects of one's own: what `spacy xlt init` writes and `spacy xlt transfer` runs, and the configs that come with it."""
