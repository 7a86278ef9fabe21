"""Nests of arrays, in and out of NumPy, and compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .frameworks import to_framework, to_numpy

# What is compared are sums of a few terms of order 1.
TOLERANCE = {"rtol": 1e-13, "atol": 1e-14}


def tree_map(f: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: tree_map(f, value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(tree_map(f, value) for value in tree)
    return f(tree)


def into(framework: str, tree: Any) -> Any:
    """A nest of numbers and NumPy arrays as float64 arrays of the framework."""
    return tree_map(lambda x: to_framework(framework, np.array(x, np.float64)), tree)


def out_of(framework: str, tree: Any) -> Any:
    return tree_map(lambda x: to_numpy(framework, x), tree)


def check(framework: str, got: Any, expected: Any) -> None:
    """The same nesting, shapes and float64 numbers."""
    if isinstance(expected, dict | list | tuple):
        assert type(got) is type(expected)
        assert len(got) == len(expected)
        for key in expected if isinstance(expected, dict) else range(len(expected)):
            check(framework, got[key], expected[key])
        return
    got, expected = to_numpy(framework, got), np.asarray(expected)
    assert (got.dtype, got.shape) == (np.float64, expected.shape)
    np.testing.assert_allclose(got, expected, **TOLERANCE)
