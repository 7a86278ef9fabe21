"""Training as ``fgi train`` does it: one network, one optimiser, the same in every framework.

recipes.py     what works for which neuron and which sequences, as data
settings.py    all that a run depends on, checked, as what JSON can hold
sequences.py   the data that settings name
optimiser.py   Adam, the clipped gradient, the decay of the rate, as pure functions
learner.py     a network in one framework: its arrays, and the compiled step that changes them
checkpoint.py  a run that can be gone on with, in one file
loop.py        epochs
compare.py     several frameworks in step: when and where they part
report.py      what is said about a run

This part of the core needs NumPy.
"""

from __future__ import annotations

from .checkpoint import Checkpoint, Epoch
from .compare import Parting, compare
from .loop import train
from .optimiser import adam, clipped, zero_moments
from .recipes import RECIPES
from .sequences import sequences
from .settings import Settings, settings

__all__ = [
    "RECIPES",
    "Checkpoint",
    "Epoch",
    "Parting",
    "Settings",
    "adam",
    "clipped",
    "compare",
    "sequences",
    "settings",
    "train",
    "zero_moments",
]
