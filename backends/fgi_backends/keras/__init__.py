"""Keras has no arrays of its own, so that it is not a backend: layers for three of them."""

from ..moved import keep_old_names

keep_old_names(__name__)
