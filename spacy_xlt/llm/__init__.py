"""Language models that are asked in words: behind an endpoint, or in this process."""
