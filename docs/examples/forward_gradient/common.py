"""What the examples share: a backend by its name, data, a loss, and how results are saved."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np

import fgi
from fgi.data import digits

Numpy = np.ndarray[Any, Any]


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every example has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--backend", default="jax", help="torch, jax or tensorflow")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("forward_gradient_out"))
    return parser


def namespace(backend: str) -> Any:
    with fgi.use_backend(backend):
        return fgi.namespace()


def arrays(xp: Any, tree: Any, dtype: str = "float32") -> Any:
    """NumPy's numbers as arrays of the framework."""
    if isinstance(tree, dict):
        return {name: arrays(xp, value, dtype) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(arrays(xp, value, dtype) for value in tree)
    return xp.asarray(tree, dtype=xp.dtype(dtype))


def number(x: Any) -> float:
    return float(fgi.namespace(x).to_numpy(x))


def images() -> tuple[Numpy, Numpy, Numpy, Numpy]:
    """Scikit-learn's digits, 64 numbers each, and labels, one-hot; then those for testing."""
    data = digits()
    one_hot = np.eye(10)
    train, test = (part.swapaxes(0, 1).reshape(-1, 64) for part in (data.train, data.test))
    return train, one_hot[data.train_labels], test, one_hot[data.test_labels]


def save(out: Path, name: str, content: dict[str, Any], figure: Any = None) -> None:
    """``name.json`` with how it came about, and ``name.png``."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        processor = next(
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        )
    except (OSError, StopIteration):
        processor = platform.processor()
    made = {
        "command": " ".join(["python", *sys.argv]),
        "date": date.today().isoformat(),
        "machine": f"{processor}, {platform.machine()}, {os.cpu_count()} cores",
        "threads": os.environ.get("OMP_NUM_THREADS", "as the framework has it"),
        "python": platform.python_version(),
    }
    (out / f"{name}.json").write_text(json.dumps(made | content, indent=1) + "\n")
    if figure is not None:
        figure.savefig(out / f"{name}.png", dpi=110)
