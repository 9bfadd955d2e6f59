"""Word links from counting: models trained on the corpus at hand, for languages that no encoder knows."""
