"""What the catalogue says about other libraries is what those libraries returned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fgi

GOLDEN = Path(__file__).parent / "data" / "golden"
CLAIMS = [
    (definition, known, parameters)
    for definition in (getattr(fgi.surrogates, name) for name in fgi.surrogates.__all__)
    for known, parameters in definition.known_as.items()
]


@pytest.mark.parametrize(
    ("definition", "known", "parameters"), CLAIMS, ids=[f"{d.name}={k}" for d, k, _ in CLAIMS]
)
def test_known_as(
    definition: type[fgi.Surrogate], known: str, parameters: Mapping[str, float]
) -> None:
    peer, _, function = known.partition(".")
    index = json.loads((GOLDEN / f"{peer}.json").read_text())
    arrays = np.load(GOLDEN / index["arrays"])
    records = [
        r
        for r in index["records"]
        if (r["function"], r["grid"], r["dtype"]) == (function, "main", "float64")
        and (r["is_default"] or not r["params"])
    ]
    assert records, f"{known}: no record of its defaults"
    spike: Any = definition(**parameters)
    for record in records:
        x, value, slope = (arrays[record[key]] for key in ("x", "forward", "grad"))
        # Libraries differ in the value at 0, and some return float32 whatever came.
        single = "float32" in (record["forward_dtype"], record["grad_dtype"])
        rtol = 1e-6 if single else 1e-12
        np.testing.assert_array_equal(spike(x)[x != 0], value[x != 0])
        np.testing.assert_allclose(spike.derivative(x), slope, rtol=rtol, atol=1e-15)
