"""Data as sequences, in NumPy: read from files that you have, never downloaded.

sequences.py  what a data set is here, and what is looked at before it is used
digits.py     scikit-learn's handwritten digits, which come with scikit-learn
mnist.py      MNIST, and what has its format, from IDX or .npz files
shd.py        the Spiking Heidelberg Digits, from HDF5 files, read batch by batch
"""

from __future__ import annotations

from .digits import digits
from .mnist import mnist, read_idx
from .sequences import Sequences, batches, pixels
from .shd import SHD

__all__ = ["SHD", "Sequences", "batches", "digits", "mnist", "pixels", "read_idx"]
