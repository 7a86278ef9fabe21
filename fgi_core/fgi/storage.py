"""Parameters from one framework to another, and into files.

A file is written beside its place and then moved there: whoever reads, or comes back after a full
disk, finds the file of before or the new one, whole.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .backend import trees
from .backend.dispatch import backend_of, namespace, use_backend
from .backend.messages import describe

__all__ = ["convert", "from_npz", "load", "save", "write"]

SUFFIXES = (".npz", ".safetensors")


def dtype_name(x: Any) -> str:
    """ "float32", whatever the framework."""
    return getattr(x.dtype, "name", None) or str(x.dtype).rpartition(".")[2]


def convert(tree: Any, backend: str) -> Any:
    """The same arrays in another framework: numbers, dtypes and containers are kept.

        params = fgi.convert(params, "jax")

    ``tree`` is an array, or nested dicts, lists and tuples of them; ``backend`` is a name that
    ``set_backend`` takes.

    Errors: TypeError where a leaf is no array, or where the framework would change its dtype;
    ValueError for an unknown backend, ImportError where its framework does not load.
    """
    with use_backend(backend):
        target = namespace()

    def converted(x: Any) -> Any:
        with use_backend("auto"):
            source = backend_of(x, "fgi.convert", "an array")
        wanted = dtype_name(x)
        # A copy: PyTorch and NumPy would otherwise share the numbers, and change them together.
        y = target.asarray(source.to_numpy(x).copy())
        if wanted == "bfloat16":  # which NumPy has only through others
            y = target.astype(y, target.dtype(wanted))
        if dtype_name(y) != wanted:
            raise TypeError(
                f"fgi.convert: {describe(x)} became {describe(y)} in {target.name}; expected the "
                f"same dtype; convert inside `with fgi.namespace(...).double_precision():`"
            )
        return y

    return trees.map(converted, tree)


def save(params: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write nested dicts of arrays, of any framework, to ``path``.npz or ``path``.safetensors.

    An array in a dict in a dict is stored as "hidden0.input". The file replaces an older one only
    when it is complete.

    Errors: ValueError for another ending and for names with dots; TypeError for what is no array,
    and for a dtype that .npz does not have (bfloat16); OSError where it cannot be written, and the
    file of before stays; ImportError without NumPy or safetensors.
    """
    path = _known(path, "fgi.save")
    with use_backend("auto"):
        arrays = {
            name: backend_of(x, "fgi.save", name).to_numpy(x)
            for name, x in trees.named(params).items()
        }
        lost = [name for name, x in trees.named(params).items() if dtype_name(x) == "bfloat16"]
    if lost:
        raise TypeError(
            f"fgi.save: {', '.join(lost)} is bfloat16, which NumPy has not; expected float16, "
            f"float32 or float64; cast it first"
        )
    import numpy as np

    if path.suffix == ".safetensors":
        arrays = {name: np.ascontiguousarray(x) for name, x in arrays.items()}
        content = _safetensors("fgi.save").numpy.save(arrays)
    else:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
    write(path, content)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What ``save`` wrote, as NumPy arrays in nested dicts; nothing in a file is executed.

    Errors: ValueError where the file is damaged, empty or of another kind; OSError where it cannot
    be read; ImportError without NumPy or safetensors.
    """
    path = _known(path, "fgi.load")
    content = path.read_bytes()
    try:
        arrays = _from_safetensors(content) if path.suffix == ".safetensors" else from_npz(content)
        return trees.nested(arrays)
    except ValueError as error:
        raise ValueError(
            f"fgi.load: {path} is damaged or no {path.suffix[1:]} file of arrays ({error}); "
            f"expected what fgi.save wrote"
        ) from error


def from_npz(content: bytes) -> dict[str, Any]:
    """The arrays in the bytes of an .npz file; nothing in it is executed.

    Errors: ValueError where they are damaged, or no such file.
    """
    import zipfile
    import zlib

    import numpy as np

    try:
        file = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise ValueError("a single array")
        with file:
            return {name: file[name] for name in file.files}
    except (KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(str(error)) from error


def _from_safetensors(content: bytes) -> dict[str, Any]:
    library = _safetensors("fgi.load")
    try:
        arrays: dict[str, Any] = library.numpy.load(content)
    except library.SafetensorError as error:
        raise ValueError(str(error)) from error
    return arrays


def _safetensors(caller: str) -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{caller}: needs safetensors, which is not installed; write pip install safetensors, "
            f"or end the name in .npz"
        ) from error
    return safetensors


def write(path: Path, content: bytes) -> None:
    """Replace the file at ``path`` by ``content``, or leave it as it is and raise OSError."""
    # In the same folder: only within one file system is a move all or nothing.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _known(path: str | os.PathLike[str], caller: str) -> Path:
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{caller}: {path}; expected a name that ends in {' or '.join(SUFFIXES)}")
    return path
