"""The Spiking Heidelberg Digits: spoken digits as the spikes of a model of the inner ear."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .sequences import Numbers, checked_labels

__all__ = ["SHD"]


class SHD:
    """A file of the Spiking Heidelberg Digits, binned in time, read batch by batch.

        xs[t, i, c] = number of spikes of channel c of recording i in [t dt, (t + 1) dt)

    ``path`` is shd_train.h5 or shd_test.h5, unpacked, from https://zenkelab.org/resources/
    spiking-heidelberg-datasets-shd/; nothing is downloaded. The file stays open and only the
    recordings that are asked for are read; ``close()``, or a ``with`` block, closes it. ``dt`` is
    the bin in seconds, 4 ms; ``steps`` the number of bins, 250 for one second: what comes later is
    left out, and a shorter recording ends in silence. With ``binary``, several spikes in a bin
    count as one. ``channels`` is 700 and ``classes`` 20; 35 for the speech commands SSC, which are
    stored in the same way.

    Errors: ImportError without h5py; FileNotFoundError; ValueError for a file that is damaged or
    has other contents, for labels out of range, dt or steps that are not positive.

    Source: Cramer et al. 2020 (doi:10.1109/TNNLS.2020.3044364).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        dt: float = 0.004,
        steps: int = 250,
        binary: bool = False,
        channels: int = 700,
        classes: int = 20,
    ) -> None:
        try:
            import h5py
        except ModuleNotFoundError as error:
            raise ImportError(
                "fgi.data.SHD: needs h5py, which is not installed; write pip install h5py"
            ) from error
        if not dt > 0 or steps < 1:
            raise ValueError(
                f"fgi.data.SHD: dt is {dt!r} and steps {steps!r}; expected both positive"
            )
        self.path = Path(path)
        self.dt, self.steps, self.binary, self.channels = dt, steps, binary, channels
        self.classes = classes
        if not self.path.is_file():
            raise FileNotFoundError(f"fgi.data.SHD: {self.path} is no file; expected shd_train.h5")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise ValueError(
                f"fgi.data.SHD: {self.path} is damaged or no HDF5 file ({error}); unpack it, or "
                f"fetch it again"
            ) from error
        try:
            self._times, self._units = self._dataset("spikes/times"), self._dataset("spikes/units")
            labels = self._dataset("labels")[:]
            if not len(self._times) == len(self._units) == len(labels) > 0:
                raise ValueError(
                    f"fgi.data.SHD: {self.path} has {len(self._times)} times, {len(self._units)} "
                    f"units and {len(labels)} labels; expected one of each for every recording"
                )
            self.labels = checked_labels(f"fgi.data.SHD: {self.path}", labels, len(labels), classes)
        except BaseException:
            self._file.close()
            raise

    def _dataset(self, name: str) -> Any:
        if name not in self._file:
            raise ValueError(
                f"fgi.data.SHD: {self.path} has {', '.join(self._file) or 'nothing'}; expected "
                f"spikes/times, spikes/units and labels"
            )
        return self._file[name]

    def __len__(self) -> int:
        return len(self.labels)

    def __enter__(self) -> SHD:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def batch(self, chosen: Sequence[int] | Numbers) -> tuple[Numbers, Numbers]:
        """The recordings of these numbers: xs (steps, recordings, channels), float32, and labels.

        Errors: ValueError for none, for damaged recordings; IndexError for a number that is not
        there.
        """
        chosen = np.asarray(chosen, dtype=np.int64).ravel()
        if not len(chosen):
            raise ValueError("fgi.data.SHD.batch: no recording was chosen; expected at least one")
        if chosen.min() < 0 or chosen.max() >= len(self):
            raise IndexError(
                f"fgi.data.SHD.batch: recordings {chosen.min()} to {chosen.max()} were chosen; "
                f"expected 0 to {len(self) - 1}"
            )
        xs = np.zeros((self.steps, len(chosen), self.channels), np.float32)
        for i, recording in enumerate(chosen.tolist()):
            # Times are stored as float16 or float32; 64 bits put each into the bin it says.
            times = np.asarray(self._times[recording], np.float64)
            units = np.asarray(self._units[recording], np.int64)
            self._check(recording, times, units)
            bins = np.floor(times / self.dt).astype(np.int64)
            inside = bins < self.steps
            np.add.at(xs[:, i], (bins[inside], units[inside]), 1)
        if self.binary:
            np.minimum(xs, 1, out=xs)
        return xs, self.labels[chosen]

    def _check(self, recording: int, times: Numbers, units: Numbers) -> None:
        if (
            times.shape != units.shape
            or not np.isfinite(times).all()
            or (len(times) and (times.min() < 0 or units.min() < 0))
            or (len(units) and units.max() >= self.channels)
        ):
            raise ValueError(
                f"fgi.data.SHD: recording {recording} of {self.path} has {len(times)} times and "
                f"{len(units)} units, or some out of range; expected finite times from 0 on and "
                f"units from 0 to {self.channels - 1}"
            )

    def batches(self, size: int, *, epoch: int) -> Iterator[tuple[Numbers, Numbers]]:
        """One pass through the file: sequences and one-hot labels, in the order of ``epoch``.

        What is left over at the end is left out.

        Errors: ValueError where not even one batch comes together.
        """
        if not 1 <= size <= len(self):
            raise ValueError(f"fgi.data.SHD.batches: size is {size}; expected 1 to {len(self)}")
        order = np.random.default_rng(epoch).permutation(len(self))
        for start in range(0, len(order) - size + 1, size):
            xs, labels = self.batch(order[start : start + size])
            yield xs, np.eye(self.classes)[labels]
