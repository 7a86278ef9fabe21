"""Keras has no arrays of its own, so that it is no backend: only a face for three of them."""
