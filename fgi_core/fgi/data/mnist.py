"""MNIST, and what is stored as it is: in IDX files, packed or not, or in one .npz file.

An IDX file is two zeros, a byte for the type, a byte for the rank, the sizes as big-endian int32,
and the numbers, big-endian (the format is described with the data, yann.lecun.com/exdb/mnist).
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from ..storage import from_npz
from .sequences import Numbers, Sequences, checked_labels, pixels

__all__ = ["mnist", "read_idx"]

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

PARTS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
# As TensorFlow hands MNIST out.
KEYS = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}


def read_idx(path: str | os.PathLike[str]) -> Numbers:
    """The array in an IDX file, which may be packed with gzip; its shape and dtype are the file's.

    Errors: ValueError where the file is no IDX file, ends too early or too late, or is damaged;
    OSError where it cannot be read.
    """
    path = Path(path)
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _damaged(path, f"cannot be unpacked ({error})") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in DTYPES:
        raise _damaged(path, f"begins with {content[:4].hex(' ') or 'nothing'}")
    dtype, rank = np.dtype(DTYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise _damaged(path, "ends before its sizes do")
    shape = struct.unpack(f">{rank}i", content[4:start])
    if any(size < 0 for size in shape):
        raise _damaged(path, f"says that its shape is {shape}")
    promised, there = dtype.itemsize * math.prod(shape), len(content) - start
    if promised != there:
        raise _damaged(path, f"promises {promised} bytes of shape {shape} and has {there}")
    numbers = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return numbers.astype(dtype.newbyteorder("="))


def mnist(
    path: str | os.PathLike[str],
    *,
    features: int = 1,
    permutation: int | None = None,
    dtype: str = "float32",
) -> Sequences:
    """MNIST as sequences, from the files in a folder, or from one .npz file.

    The folder has train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    t10k-labels-idx1-ubyte, each perhaps with .gz after it, as they are handed out at
    https://ossci-datasets.s3.amazonaws.com/mnist/ and on the mirrors; the .npz file has x_train,
    y_train, x_test and y_test, as at
    https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz. Nothing is downloaded.
    Fashion-MNIST and the like have the same files. ``features`` pixels make a step, so that 784,
    392, ..., 28, ..., 1 of them make 1, 2, ..., 28, ..., 784 steps; with ``permutation``, a seed,
    in a random order: see ``fgi.data.pixels``.

    Errors: FileNotFoundError naming what is missing; ValueError for damaged or swapped files, and
    for what ``Sequences`` does not take.
    """
    path = Path(path)
    parts = _from_npz(path) if path.is_file() else _from_folder(path)
    read = {}
    for part, (images, labels) in parts.items():
        where = f"{path}: {part}"
        if images.ndim != 3 or labels.ndim != 1:
            raise ValueError(
                f"{where} has images of shape {images.shape} and labels of shape {labels.shape}; "
                f"expected (n, height, width) and (n,); were the files swapped?"
            )
        read[part] = (
            pixels(images, features=features, permutation=permutation, dtype=dtype),
            checked_labels(where, labels, len(images), 10),
        )
    return Sequences(*read["train"], *read["test"])


def _from_folder(folder: Path) -> dict[str, tuple[Numbers, Numbers]]:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is neither a folder nor a file; expected the folder of the four MNIST "
            f"files, or mnist.npz"
        )
    found, missing = {}, []
    for part, names in PARTS.items():
        files = []
        for name in names:
            there = [p for p in (folder / name, folder / f"{name}.gz") if p.is_file()]
            files += there[:1]
            missing += [] if there else [name]
        found[part] = files
    if missing:
        raise FileNotFoundError(
            f"{folder} lacks {', '.join(missing)}; expected them there, each perhaps with .gz "
            f"after it"
        )
    return {part: (read_idx(images), read_idx(labels)) for part, (images, labels) in found.items()}


def _from_npz(path: Path) -> dict[str, tuple[Numbers, Numbers]]:
    try:
        arrays = from_npz(path.read_bytes())
    except ValueError as error:
        raise _damaged(path, f"cannot be unpacked ({error})") from error
    missing = [name for names in KEYS.values() for name in names if name not in arrays]
    if missing:
        raise _damaged(path, f"lacks {', '.join(missing)}")
    return {part: (arrays[x], arrays[y]) for part, (x, y) in KEYS.items()}


def _damaged(path: Path, what: str) -> ValueError:
    kind = "an .npz file with x_train, y_train, x_test, y_test" if path.suffix == ".npz" else "IDX"
    return ValueError(f"{path} {what}; expected {kind}; fetch it again")
