"""The data that settings name, as sequences of the length and dtype that they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..data import Sequences, digits, mnist
from ..data.sequences import Numbers
from .settings import Settings, side

__all__ = ["sequences"]

PERMUTATION = 0  # the same for every run, as the task has one permutation


def sequences(settings: Settings) -> Sequences:
    """Digits, or MNIST from its files, ``seq_length`` steps long, times ``current``.

    Errors: ValueError where the length does not divide the pixels, and for what the readers of
    ``fgi.data`` refuse; OSError where files cannot be read; ImportError without scikit-learn.
    """
    pixels = side(settings.data) ** 2
    if pixels % settings.seq_length:
        raise ValueError(
            f"seq-length is {settings.seq_length}; expected a divisor of {pixels}, all the pixels"
        )
    if settings.data == "digits":
        read = digits("pixel")
        order = _order(pixels, settings.permuted)
        data = replace(
            read,
            train=_steps(read.train[order], settings.seq_length),
            test=_steps(read.test[order], settings.seq_length),
        )
    else:
        data = mnist(
            settings.data,
            features=pixels // settings.seq_length,
            permutation=PERMUTATION if settings.permuted else None,
            dtype=settings.dtype,
        )
    if settings.batch > data.train.shape[1]:
        raise ValueError(
            f"batch is {settings.batch}; expected 1 to {data.train.shape[1]}, the number of "
            f"sequences"
        )
    return replace(
        data,
        train=(settings.current * data.train).astype(settings.dtype),
        test=(settings.current * data.test).astype(settings.dtype),
    )


def _order(pixels: int, permuted: bool) -> Numbers:
    if permuted:
        return np.random.default_rng(PERMUTATION).permutation(pixels)
    return np.arange(pixels)


def _steps(xs: Numbers, steps: int) -> Numbers:
    """(pixels, sequences, 1) as (steps, sequences, pixels / steps)."""
    return xs.reshape(steps, -1, xs.shape[1]).swapaxes(1, 2)
