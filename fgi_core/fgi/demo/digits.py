"""Scikit-learn's handwritten digits, 1797 images of 8 x 8 pixels, read as sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

__all__ = ["Digits", "digits"]

Reading = Literal["row", "pixel"]


@dataclass(frozen=True)
class Digits:
    """Sequences (steps, images, features) from 0 to 1, and labels (images,)."""

    train: np.ndarray[Any, Any]
    train_labels: np.ndarray[Any, Any]
    test: np.ndarray[Any, Any]
    test_labels: np.ndarray[Any, Any]


def digits(by: Reading = "row") -> Digits:
    """The digits row by row (8 steps of 8) or pixel by pixel (64 steps of 1); a fifth for testing.

    Each class has the same share of both parts; the split never changes.
    """
    images, labels = load_digits(return_X_y=True)
    shape = {"row": (-1, 8, 8), "pixel": (-1, 64, 1)}[by]
    sequences = (images / 16).reshape(shape)
    train, test, train_labels, test_labels = train_test_split(
        sequences, labels, test_size=0.2, random_state=0, stratify=labels
    )
    return Digits(train.swapaxes(0, 1), train_labels, test.swapaxes(0, 1), test_labels)
