"""``fgi.dispatch``, as 0.1 named it: the choice of a backend. See ``fgi.backend``."""

from .backend import *  # noqa: F403
