"""Bitexts to look at: as one HTML page, in a notebook and in the terminal."""
