"""Readers against files made by hand, whole and damaged; views against indices."""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgi.data import SHD, Sequences, batches, digits, mnist, pixels, read_idx

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)
LABELS = np.array([5, 0, 4, 1, 9, 2], np.uint8)
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx(array: Any, code: int = 0x08) -> bytes:
    sizes = struct.pack(f">{array.ndim}i", *array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


def folder(path: Path, *, packed: bool = False) -> Path:
    for name, array in zip(NAMES, (IMAGES, LABELS, IMAGES[:2], LABELS[:2]), strict=True):
        content = idx(array)
        (path / f"{name}{'.gz' * packed}").write_bytes(
            gzip.compress(content) if packed else content
        )
    return path


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(0x08, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")],
)
def test_idx_of_every_type(code: int, dtype: str, tmp_path: Path) -> None:
    array = np.array([[1, 2, 3], [100, 50, 7]]).astype(dtype)
    path = tmp_path / "file"
    for content in (idx(array, code), gzip.compress(idx(array, code))):
        path.write_bytes(content)
        read = read_idx(path)
        assert read.dtype == np.dtype(dtype).newbyteorder("=")
        assert read.tolist() == array.tolist()


def test_idx_by_hand(tmp_path: Path) -> None:
    """The bytes as the format describes them: 00 00 08 02, sizes 2 and 3, numbers."""
    path = tmp_path / "file"
    path.write_bytes(bytes.fromhex("00000802 00000002 00000003 010203 040506"))
    assert read_idx(path).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda b: b"", "begins with nothing"),
        (lambda b: b"\0\0", "begins with 00 00"),
        (lambda b: b"\x89PNG" + b[4:], "begins with 89 50 4e 47"),
        (lambda b: b"\0\0\x07" + b[3:], "begins with 00 00 07 03"),
        (lambda b: b[:10], "ends before its sizes do"),
        (lambda b: b[:-1], "promises 4704 bytes of shape .6, 28, 28. and has 4703"),
        (lambda b: b + b"\0", "promises 4704 bytes .* and has 4705"),
        (lambda b: b[:4] + b"\xff" + b[5:], "says that its shape is"),
        (lambda b: gzip.compress(b)[:-20], "cannot be unpacked"),
        (lambda b: gzip.compress(b)[:40] + b"x" + gzip.compress(b)[41:], "cannot be unpacked"),
    ],
)
def test_a_damaged_idx_file_is_named(damage: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(damage(idx(IMAGES)))
    with pytest.raises(ValueError, match=rf"images {said}.*; expected IDX; fetch it again"):
        read_idx(path)


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_from_a_folder(packed: bool, tmp_path: Path) -> None:
    data = mnist(folder(tmp_path, packed=packed))
    assert data.train.shape == (784, 6, 1)
    assert data.test.shape == (784, 2, 1)
    assert data.train.dtype == np.float32
    assert data.train_labels.tolist() == LABELS.tolist()
    np.testing.assert_array_equal(data.train[28 * 3 + 5, :, 0], np.float32(IMAGES[:, 3, 5]) / 255)


def test_mnist_from_npz(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    parts = {
        "x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:2], "y_test": LABELS[:2],
    }  # fmt: skip
    np.savez(path, **parts)
    data = mnist(path, features=28, dtype="float64")
    assert data.train.shape == (28, 6, 28)
    np.testing.assert_array_equal(data.train[3, 4], IMAGES[4, 3] / 255)
    whole = path.read_bytes()
    for content in (b"", whole[:-30], b"x" * 100):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"npz cannot be unpacked .*; expected an \.npz"):
            mnist(path)
    np.savez(path, x_train=IMAGES)
    with pytest.raises(ValueError, match=r"lacks y_train, x_test, y_test; expected an \.npz file"):
        mnist(path)
    np.savez(path, **{**parts, "x_train": LABELS, "y_train": IMAGES})
    with pytest.raises(ValueError, match=r"images of shape \(6,\) .*were the files swapped\?"):
        mnist(path)


def test_swapped_missing_and_unfit_files(tmp_path: Path) -> None:
    folder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"is neither a folder nor a file"):
        mnist(tmp_path / "absent")
    images, labels = tmp_path / NAMES[0], tmp_path / NAMES[1]
    images.rename(tmp_path / "x")
    with pytest.raises(FileNotFoundError, match=rf"lacks {NAMES[0]}; expected them there"):
        mnist(tmp_path)
    labels.rename(images)
    (tmp_path / "x").rename(labels)
    with pytest.raises(ValueError, match=r"train has images of shape \(6,\) .*swapped\?"):
        mnist(tmp_path)
    folder(tmp_path)
    labels.write_bytes(idx(LABELS[:5]))
    with pytest.raises(ValueError, match=r"train: labels have shape \(5,\); expected \(6,\)"):
        mnist(tmp_path)
    labels.write_bytes(idx(np.array([0, 1, 2, 10, 4, 200], np.uint8)))
    with pytest.raises(ValueError, match=r"label 3 is 10, one of 2 out of range; expected 0 to 9"):
        mnist(tmp_path)
    labels.write_bytes(idx(LABELS[:0]))
    images.write_bytes(idx(IMAGES[:0]))
    with pytest.raises(ValueError, match=r"images have shape \(0, 28, 28\)"):
        mnist(tmp_path)


@pytest.mark.parametrize("features", [1, 2, 4, 7, 8, 14, 16, 28, 56, 112, 392, 784])
def test_pixels_are_read_in_rows(features: int) -> None:
    xs = pixels(IMAGES, features=features, dtype="float64")
    assert xs.shape == (784 // features, 6, features)
    for place in (0, 27, 28, 500, 783):
        step, feature = divmod(place, features)
        row, column = divmod(place, 28)
        np.testing.assert_array_equal(xs[step, :, feature], IMAGES[:, row, column] / 255)


def test_permuted_pixels_are_the_same_pixels_in_one_order() -> None:
    plain = pixels(IMAGES)[..., 0]
    mixed, again, other = (pixels(IMAGES, permutation=seed)[..., 0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(mixed, again)
    assert not np.array_equal(mixed, other)
    assert not np.array_equal(mixed, plain)
    np.testing.assert_array_equal(np.sort(mixed, axis=0), np.sort(plain, axis=0))
    # One order for all images: where an image of places goes, the pixels of all went.
    places = np.arange(784.0).reshape(1, 28, 28)
    order = pixels(places, permutation=1, dtype="float64")[:, 0, 0].astype(int)
    np.testing.assert_array_equal(mixed, plain[order])
    assert sorted(order.tolist()) == list(range(784))


def test_unfit_pixels_are_refused() -> None:
    for wrong, error, said in (
        (lambda: pixels(IMAGES, features=5), ValueError, r"features is 5; expected a divisor"),
        (lambda: pixels(IMAGES, features=0), ValueError, r"features is 0; expected a divisor"),
        (lambda: pixels(IMAGES[0]), ValueError, r"shape \(28, 28\); expected \(images, height"),
        (lambda: pixels(IMAGES.astype(int)), TypeError, r"images are int64; expected uint8"),
    ):
        with pytest.raises(error, match=said):
            wrong()


def test_sequences_are_looked_at() -> None:
    xs, labels = np.zeros((5, 3, 2), np.float32), np.array([0, 1, 2])
    good = Sequences(xs, labels, xs, labels, classes=3)
    assert good.train is xs

    def bad(train: Any = xs, labels: Any = labels, test: Any = xs, classes: int = 3) -> None:
        Sequences(train, labels, test, np.array([0, 1, 2]), classes)

    nan, inf = xs.copy(), xs.copy()
    nan[4, 1, 0] = np.nan
    inf[2, 0, 1] = np.inf
    for wrong, error, said in (
        ({"train": xs[0]}, ValueError, r"train has shape \(3, 2\); expected \(steps, sequences,"),
        ({"train": xs[:0]}, ValueError, r"train has shape \(0, 3, 2\)"),
        ({"train": xs[:, :0]}, ValueError, r"train has shape \(5, 0, 2\)"),
        ({"train": xs.astype(int)}, TypeError, r"train is int64; expected floating"),
        ({"train": nan}, ValueError, r"train\[4, 1, 0\] is nan, one of 1 numbers"),
        ({"test": inf}, ValueError, r"test\[2, 0, 1\] is inf"),
        ({"test": xs[:4]}, ValueError, r"test \(4, 3, 2\); expected the same steps"),
        ({"labels": labels[:2]}, ValueError, r"labels have shape \(2,\); expected \(3,\)"),
        ({"labels": labels - 1}, ValueError, r"label 0 is -1, .*expected 0 to 2"),
        ({"labels": labels.astype(float)}, TypeError, r"labels are float64; expected integers"),
        ({"classes": 2}, ValueError, r"label 2 is 2, .*expected 0 to 1"),
    ):
        with pytest.raises(error, match=said):
            bad(**wrong)  # type: ignore[arg-type]


def test_batches_pass_once_through_the_data() -> None:
    xs = np.arange(10.0).reshape(1, 10, 1)
    labels = np.arange(10) % 3
    seen: list[float] = []
    for batch, one_hot in batches(xs, labels, 4, classes=3, epoch=1):
        assert batch.shape == (1, 4, 1)
        assert one_hot.sum(axis=1).tolist() == [1] * 4
        assert (batch[0, :, 0] % 3).tolist() == one_hot.argmax(axis=1).tolist()
        seen += batch[0, :, 0].tolist()
    assert len(seen) == len(set(seen)) == 8
    again = [b[0, :, 0].tolist() for b, _ in batches(xs, labels, 4, classes=3, epoch=1)]
    other = [b[0, :, 0].tolist() for b, _ in batches(xs, labels, 4, classes=3, epoch=2)]
    assert [number for batch in again for number in batch] == seen
    assert other != again
    for size in (0, 11):
        with pytest.raises(ValueError, match=rf"size is {size}; expected 1 to 10"):
            list(batches(xs, labels, size, classes=3, epoch=0))


@pytest.mark.parametrize(("by", "shape"), [("row", (8, 1437, 8)), ("pixel", (64, 1437, 1))])
def test_digits(by: Any, shape: tuple[int, ...]) -> None:
    sklearn = pytest.importorskip("sklearn.datasets")
    data = digits(by)
    assert data.train.shape == shape
    assert data.test.shape == (shape[0], 360, shape[2])
    assert data.train.min() == 0
    assert data.train.max() == 1
    assert set(data.train_labels) == set(data.test_labels) == set(range(10))
    images = {tuple(row) for row in sklearn.load_digits().data / 16}
    for part in (data.train, data.test):
        assert {tuple(part[:, i].ravel()) for i in range(20)} <= images
    with pytest.raises(ValueError, match="by is 'column'; expected one of row, pixel"):
        digits("column")  # type: ignore[arg-type]


def shd_file(path: Path, *, times: Any = None, units: Any = None, labels: Any = None) -> Path:
    """Three recordings of five channels; spikes at bin edges, in one bin, late, none."""
    h5py = pytest.importorskip("h5py")
    times = times or [[0.0, 0.004, 0.0041, 0.0119, 0.5], [], [0.0085, 0.0086]]
    units = units or [[0, 1, 1, 4, 2], [], [3, 3]]
    labels = [2, 0, 19] if labels is None else labels
    with h5py.File(path, "w") as file:
        for name, dtype, rows in (("times", np.float32, times), ("units", np.uint16, units)):
            shape = (len(rows),)
            data = file.create_dataset(f"spikes/{name}", shape, h5py.vlen_dtype(dtype))
            for i, row in enumerate(rows):
                data[i] = np.array(row, dtype)
        file["labels"] = np.array(labels)
    return path


def test_shd_bins_spikes(tmp_path: Path) -> None:
    path = shd_file(tmp_path / "shd_train.h5")
    with SHD(path, steps=3, channels=5) as data:
        assert len(data) == 3
        xs, labels = data.batch([2, 0, 1])
    assert labels.tolist() == [19, 2, 0]
    expected = np.zeros((3, 3, 5))
    expected[2, 0, 3] = 2  # both spikes of recording 2 are in [8, 12) ms
    # 0.004 is stored as float32, a little more than 4 ms: it belongs to the second bin.
    expected[0, 1, 0], expected[1, 1, 1], expected[2, 1, 4] = 1, 2, 1
    assert xs.dtype == np.float32
    np.testing.assert_array_equal(xs, expected)
    with SHD(path, steps=200, channels=5, binary=True) as data:
        xs, _ = data.batch([0, 2])
    assert xs[125, 0, 2] == 1
    assert xs.max() == 1
    assert xs.sum() == 5


def test_shd_is_read_batch_by_batch(tmp_path: Path) -> None:
    """A recording that is damaged is no trouble until it is asked for."""
    path = shd_file(tmp_path / "shd.h5", units=[[0, 1, 1, 4, 2], [], [3, 99]])
    with SHD(path, steps=3, channels=5) as data:
        assert data.batch([0, 1])[0].sum() == 4
        with pytest.raises(ValueError, match=r"recording 2 of .*units from 0 to 4"):
            data.batch([2])
        seen = [data.labels.tolist().index(int(row.argmax())) for _, one in
                SHD(shd_file(tmp_path / "b.h5"), steps=3, channels=5).batches(1, epoch=3)
                for row in one]  # fmt: skip
    assert sorted(seen) == [0, 1, 2]


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ({"times": [[0.1, np.nan], [], []], "units": [[0, 1], [], []]}, "expected finite times"),
        ({"times": [[-0.1], [], []], "units": [[0], [], []]}, "expected finite times"),
        ({"times": [[0.1], [], []], "units": [[0, 1], [], []]}, "has 1 times and 2 units"),
    ],
)
def test_damaged_recordings(spoiled: Any, said: str, tmp_path: Path) -> None:
    with SHD(shd_file(tmp_path / "f.h5", **spoiled), channels=5) as data:
        with pytest.raises(ValueError, match=f"recording 0 of .*{said}"):
            data.batch([0])
        for wrong in ([3], [-1]):
            with pytest.raises(IndexError, match=r"expected 0 to 2"):
                data.batch(wrong)
        with pytest.raises(ValueError, match="no recording was chosen"):
            data.batch([])
        with pytest.raises(ValueError, match=r"size is 4; expected 1 to 3"):
            next(data.batches(4, epoch=0))


def test_unfit_shd_files(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "f.h5"
    with pytest.raises(FileNotFoundError, match=r"f\.h5 is no file"):
        SHD(path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match=r"f\.h5 is damaged or no HDF5 file"):
        SHD(path)
    whole = shd_file(tmp_path / "whole.h5").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"f\.h5 is damaged or no HDF5 file"):
        SHD(path)
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"has x; expected spikes/times, spikes/units and labels"):
        SHD(path)
    with pytest.raises(ValueError, match=r"3 times, 3 units and 2 labels; expected one of each"):
        SHD(shd_file(path, labels=[0, 1]))
    with pytest.raises(ValueError, match=r"label 1 is 20, .*expected 0 to 19"):
        SHD(shd_file(path, labels=[0, 20, 1]))
    for wrong in ({"dt": 0.0}, {"dt": float("nan")}, {"steps": 0}):
        with pytest.raises(ValueError, match="expected both positive"):
            SHD(path, **wrong)  # type: ignore[arg-type]


def test_without_h5py_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"fgi\.data\.SHD: needs h5py, .*pip install h5py"):
        SHD(tmp_path / "f.h5")
