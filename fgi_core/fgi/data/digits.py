"""Scikit-learn's handwritten digits, 1797 images of 8 x 8 pixels, read as sequences."""

from __future__ import annotations

from typing import Literal

from .sequences import Sequences

__all__ = ["Reading", "digits"]

Reading = Literal["row", "pixel"]


def digits(by: Reading = "row") -> Sequences:
    """The digits row by row (8 steps of 8) or pixel by pixel (64 steps of 1); a fifth for testing.

    Numbers from 0 to 1, float64. Each class has the same share of both parts; the split never
    changes. The images come with scikit-learn.

    Errors: ImportError without scikit-learn; ValueError for another reading.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    shapes = {"row": (-1, 8, 8), "pixel": (-1, 64, 1)}
    if by not in shapes:
        raise ValueError(f"fgi.data.digits: by is {by!r}; expected one of row, pixel")
    images, labels = load_digits(return_X_y=True)
    sequences = (images / 16).reshape(shapes[by])
    train, test, train_labels, test_labels = train_test_split(
        sequences, labels, test_size=0.2, random_state=0, stratify=labels
    )
    return Sequences(train.swapaxes(0, 1), train_labels, test.swapaxes(0, 1), test_labels)
