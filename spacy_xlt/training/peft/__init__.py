"""Training few of an encoder's weights, with less memory: what is saved is an ordinary transformer."""
