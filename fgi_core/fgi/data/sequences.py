"""What a data set of sequences is, and what is looked at before it is used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Numbers", "Sequences", "batches", "checked_labels", "pixels"]

Numbers: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sequences:
    """Sequences to train and to test with, and their labels.

    ``train`` and ``test`` are (steps, sequences, features), floating; the labels are
    (sequences,), integers from 0 to ``classes`` - 1.

    Errors: TypeError for other dtypes; ValueError for another rank, for nothing in it, for
    sequences and labels of different number, for steps or features that differ between the two
    parts, for NaN and infinities, for labels out of range.
    """

    train: Numbers
    train_labels: Numbers
    test: Numbers
    test_labels: Numbers
    classes: int = 10

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            xs, labels = getattr(self, part), getattr(self, f"{part}_labels")
            caller = f"fgi.data: {part}"
            if xs.dtype.kind != "f":
                raise TypeError(f"{caller} is {xs.dtype}; expected floating numbers")
            if xs.ndim != 3 or 0 in xs.shape:
                raise ValueError(
                    f"{caller} has shape {xs.shape}; expected (steps, sequences, features), at "
                    f"least one of each"
                )
            wrong = np.argwhere(~np.isfinite(xs))
            if len(wrong):
                step, sequence, feature = wrong[0].tolist()
                raise ValueError(
                    f"{caller}[{step}, {sequence}, {feature}] is {xs[step, sequence, feature]}, "
                    f"one of {len(wrong)} numbers that are not finite; expected finite ones"
                )
            checked_labels(caller, labels, xs.shape[1], self.classes)
        if (self.train.shape[0], self.train.shape[2]) != (self.test.shape[0], self.test.shape[2]):
            raise ValueError(
                f"fgi.data: train has shape {self.train.shape} and test {self.test.shape}; "
                f"expected the same steps and features"
            )


def checked_labels(caller: str, labels: Numbers, count: int, classes: int) -> Numbers:
    """The labels as int64, one for each of ``count`` sequences, from 0 to ``classes`` - 1."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{caller}: labels are {labels.dtype}; expected integers")
    if labels.shape != (count,):
        raise ValueError(
            f"{caller}: labels have shape {labels.shape}; expected ({count},), one for each"
        )
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        raise ValueError(
            f"{caller}: label {outside[0]} is {labels[outside[0]]}, one of {len(outside)} out of "
            f"range; expected 0 to {classes - 1}"
        )
    return labels.astype(np.int64)


def batches(
    xs: Numbers, labels: Numbers, size: int, *, classes: int, epoch: int, seed: int = 0
) -> Iterator[tuple[Numbers, Numbers]]:
    """One pass through ``xs`` (steps, sequences, features): sequences and one-hot labels.

    The order depends on ``epoch`` and ``seed`` alone; what is left over at the end is left out.

    Errors: ValueError where not even one batch comes together.
    """
    if not 1 <= size <= xs.shape[1]:
        raise ValueError(
            f"fgi.data.batches: size is {size}; expected 1 to {xs.shape[1]}, the number of "
            f"sequences"
        )
    order = np.random.default_rng([epoch, seed]).permutation(xs.shape[1])
    for start in range(0, len(order) - size + 1, size):
        chosen = order[start : start + size]
        yield xs[:, chosen], np.eye(classes)[labels[chosen]]


def pixels(
    images: Numbers, *, features: int = 1, permutation: int | None = None, dtype: str = "float32"
) -> Numbers:
    """Images as sequences of their pixels, row after row, ``features`` at a time.

        (images, height, width) -> (height * width / features, images, features), from 0 to 1

    With ``permutation``, a seed, every image has its pixels in one random order, the same for
    each: the permuted task. ``images`` are uint8, which are divided by 255, or floating.

    Errors: TypeError for other dtypes; ValueError for another rank, for nothing in it, and where
    ``features`` does not divide the pixels.
    """
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise TypeError(f"fgi.data.pixels: images are {images.dtype}; expected uint8 or floating")
    if images.ndim != 3 or 0 in images.shape:
        raise ValueError(
            f"fgi.data.pixels: images have shape {images.shape}; expected (images, height, width), "
            f"at least one of each"
        )
    count, size = len(images), images.shape[1] * images.shape[2]
    if features < 1 or size % features:
        raise ValueError(
            f"fgi.data.pixels: features is {features}; expected a divisor of {size}, the pixels of "
            f"an image"
        )
    flat = images.reshape(count, size)
    if permutation is not None:
        flat = flat[:, np.random.default_rng(permutation).permutation(size)]
    scaled = flat.astype(dtype) / 255 if images.dtype == np.uint8 else flat.astype(dtype)
    return scaled.reshape(count, size // features, features).swapaxes(0, 1)
