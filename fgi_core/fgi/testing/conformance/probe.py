"""Numbers into the functions of a backend and out of them, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fgi_backends.measure.mode import AbsentError

from ...backend.messages import describe
from ...transforms.framework import jvp, vjp
from ..bounds import Bound, bound
from ..cell import of_dtype
from ..precision import PRECISIONS, Floats, Precision
from ..report import Element, Failure

__all__ = ["Keys", "Probe"]

Keys = Callable[[int], Sequence[Any]]
"""From a seed to the framework's own sources of randomness, one of each kind."""

Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass
class Probe:
    """One backend in one dtype; NumPy's arrays go in, float64 holds what comes out."""

    xp: Any
    dtype: str
    bounds: tuple[Bound, ...] = ()
    make_keys: Keys | None = None
    failures: list[Failure] = field(default_factory=list)
    comparisons: int = 0
    ulps: float = 0.0

    @property
    def precision(self) -> Precision:
        return PRECISIONS[self.dtype]

    @property
    def native(self) -> Any:
        """The framework's own dtype."""
        return self.xp.dtype(self.dtype)

    def round(self, values: Any) -> Floats:
        """The numbers of the dtype that are nearest."""
        return self.precision.round(values)

    def into(self, values: Any) -> Any:
        """An array of the framework; booleans stay booleans."""
        values = np.asarray(values)
        if values.dtype == np.bool_:
            return self.xp.asarray(values)
        return of_dtype(self.xp, self.round(values), self.precision)

    def call(self, function: str, *args: Any, **options: Any) -> Any:
        """The backend's function, of NumPy's arrays among others."""
        args = tuple(self.into(a) if isinstance(a, np.ndarray) else a for a in args)
        return getattr(self.xp, function)(*args, **options)

    def keys(self, seed: int) -> Sequence[Any]:
        if self.make_keys is None:
            raise AbsentError("no keys to draw with; write backend_conformance(module, keys=...)")
        return self.make_keys(seed)

    def derivative(self, f: Callable[[Any], Any], x: Any, u: Any) -> tuple[Any, Any]:
        """Value and u f'(x) of an element-wise function, by reverse mode or else by forward."""
        x, u = self.into(x), self.into(u)
        if hasattr(self.xp, "vjp"):
            y, pullback = vjp(f, x)
            return y, pullback(u)[0]
        if hasattr(self.xp, "jvp"):
            y, dy = jvp(f, (x,), (u,))
            return y, dy
        raise AbsentError(f"{self.xp.name} has no vjp and no jvp")

    def bound(self, quantity: str) -> Bound:
        return bound(quantity, self.dtype, "*", quantity, self.bounds)

    # What is found.

    def fail(self, quantity: str, cause: str) -> None:
        self.failures.append(Failure(quantity, cause, 1, 1, 0))

    def require(self, holds: bool, quantity: str, cause: str) -> None:
        self.comparisons += 1
        if not holds:
            self.fail(quantity, cause)

    def raises(
        self, quantity: str, call: Callable[[], Any], kind: type[Exception], text: str
    ) -> None:
        """The call fails in the words that it fails with in every framework."""
        self.comparisons += 1
        try:
            call()
        except kind as error:
            if text not in str(error):
                self.fail(quantity, f"it says {str(error)!r}; expected {text!r}")
        except Exception as error:
            self.fail(quantity, f"{type(error).__name__}: {error}; expected a {kind.__name__}")
        else:
            self.fail(quantity, f"nothing is raised; expected a {kind.__name__}: {text}")

    def numbers(self, got: Any, shape: tuple[int, ...], quantity: str, dtype: Any = None) -> Any:
        """The result as float64; None where its type, dtype or shape is wrong."""
        xp, wanted = self.xp, self.native if dtype is None else dtype
        if not isinstance(got, xp.Array):
            self.fail(quantity, f"got {describe(got)}; expected an array of {xp.name}")
        elif got.dtype != wanted:
            self.fail(quantity, f"the dtype: got {describe(got)}; expected {wanted}")
        elif tuple(got.shape) != shape:
            self.fail(quantity, f"the shape: got {describe(got)}; expected {shape}")
        else:
            return np.asarray(xp.to_numpy(got)).astype(np.float64)
        return None

    def same(
        self,
        got: Any,
        expected: Any,
        x: Any = None,
        *,
        quantity: str = "value",
        zeros: bool = True,
        dtype: Any = None,
    ) -> None:
        """Equal in type, dtype, shape and number, NaN to NaN, and in the sign of zero if told."""
        expected = np.asarray(expected, np.float64)
        if dtype is None:
            expected = self.round(expected)
        y = self.numbers(got, expected.shape, quantity, dtype)
        if y is None:
            return
        right = (y == expected) | (np.isnan(y) & np.isnan(expected))
        sign = (np.signbit(y) == np.signbit(expected)) | np.isnan(y) | (y != 0) | (not zeros)
        distance = np.where(right, 0.0, np.inf)
        self._judge(quantity, ~(right & sign), x, y, expected, distance, bool(right.all()))

    def near(
        self,
        got: Any,
        low: Any,
        high: Any,
        ulps: float,
        x: Any = None,
        *,
        quantity: str = "value",
        floor: float = 0.0,
        where: Any = True,
    ) -> None:
        """Within so many ulp of a number between the two, which may be more exact than float64."""
        low, high = np.asarray(low), np.asarray(high)
        y = self.numbers(got, low.shape, quantity)
        if y is None:
            return
        nearest = np.clip(y, low, high)
        ulp = self.precision.ulp(nearest.astype(np.float64), floor)
        distance = np.abs(y - nearest).astype(np.float64) / ulp
        distance = np.where(np.isnan(distance), np.inf, distance)
        distance = np.where(where, distance, 0.0)
        self.ulps = max(self.ulps, float(np.max(distance, initial=0, where=np.isfinite(distance))))
        wrong = distance > ulps
        self._judge(quantity, wrong, x, y, low.astype(np.float64), distance, False, ulps)

    def _judge(
        self,
        quantity: str,
        wrong: Any,
        x: Any,
        y: Floats,
        expected: Floats,
        distance: Floats,
        only_zeros: bool,
        ulps: float = 0.0,
    ) -> None:
        self.comparisons += int(y.size)
        if not np.any(wrong):
            return
        x = np.broadcast_to(expected if x is None else np.asarray(x, np.float64), y.shape)
        x, y, expected, wrong, distance = (np.ravel(a) for a in (x, y, expected, wrong, distance))
        first, worst = int(np.argmax(wrong)), int(np.argmax(np.where(wrong, distance, -1)))

        def element(i: int) -> Element:
            return Element(*(float(a[i]) for a in (x, np.ones_like(y), y, expected, distance)))

        cause = self._cause(x, y, expected, wrong, only_zeros, ulps)
        at_first = element(first)
        # The same object: NaN in another one would be another number.
        at_worst = at_first if worst == first else element(worst)
        count = int(wrong.sum())
        self.failures.append(Failure(quantity, cause, count, len(y), 0, at_first, at_worst))

    def _cause(
        self, x: Floats, y: Floats, expected: Floats, wrong: Flags, only_zeros: bool, ulps: float
    ) -> str:
        """What is most likely the matter."""
        sides = [side for side, of in (("negative", x < 0), ("positive", x > 0)) if np.any(of)]
        x, y, expected = x[wrong], y[wrong], expected[wrong]
        passes = f"; {ulps:g} ulp pass" if ulps else ""
        with np.errstate(all="ignore"):
            off = np.abs(y / expected)
            if only_zeros:
                return "the sign of a zero"
            if np.all(np.isnan(expected)):
                return "NaN is lost"
            if np.all(np.isclose(y, -expected, rtol=1e-4, atol=0)):
                return "the sign is flipped"
            if not np.any(np.isfinite(x)):
                return "where x is infinite or NaN alone"
            if not np.any(np.isfinite(y)) and np.all(np.isfinite(expected)):
                return "not finite"
            if np.all(x == 0):
                return "at x = 0 alone"
            if self.dtype == "float64" and np.all(np.abs(off - 1) < 2.0**-20):
                return "as exact as float32: a float32 constant or cast on the way"
            if len(sides) == 2 and (np.all(x < 0) or np.all(x > 0)):
                return f"wrong for {sides[int(x[0] > 0)]} x alone{passes}"
        return f"another number{passes}"
