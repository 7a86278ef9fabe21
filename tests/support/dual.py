"""The smallest backend: forward-mode dual numbers over NumPy, with tier 0 and little more."""

from types import SimpleNamespace

import numpy as np

from fgi.backend.trees import map as tree_map

PARTIALS = {
    np.add: lambda x, y: (1, 1),
    np.subtract: lambda x, y: (1, -1),
    np.multiply: lambda x, y: (y, x),
    np.true_divide: lambda x, y: (1 / y, -x / y**2),
    np.negative: lambda x: (-1,),
    np.absolute: lambda x: (np.sign(x),),
}


class Dual(np.lib.mixins.NDArrayOperatorsMixin):
    def __init__(self, value, tangent=0.0):
        self.x, self.dtype, self.shape = value, value.dtype, value.shape
        self.dx = np.broadcast_to(tangent, value.shape).astype(value.dtype)

    def __array_ufunc__(self, ufunc, method, *args):
        xs, dxs = zip(*[(a.x, a.dx) if isinstance(a, Dual) else (a, 0) for a in args], strict=True)
        y = np.asarray(ufunc(*xs))
        terms = zip(PARTIALS[ufunc](*xs), dxs, strict=True) if ufunc in PARTIALS else ()
        return Dual(y, sum(np.where(np.equal(dx, 0), 0, p * dx) for p, dx in terms))


def where(condition, x, y):
    (x, dx), (y, dy) = ((a.x, a.dx) if isinstance(a, Dual) else (a, 0) for a in (x, y))
    return Dual(np.where(condition.x, x, y), np.where(condition.x, dx, dy))


def jvp(f, primals, tangents):
    y = f(*tree_map(lambda p, t: Dual(p.x, t.x), primals, tangents))
    return tree_map(lambda y: Dual(y.x), y), tree_map(lambda y: Dual(y.dx), y)


BACKEND = SimpleNamespace(
    name="dual", Array=Dual, floating=(np.dtype("float32"), np.dtype("float64")), finfo=np.finfo,
    stop_gradient=lambda x: Dual(x.x), astype=lambda x, dtype: Dual(x.x.astype(dtype), x.dx),
    zeros_like=lambda x: Dual(np.zeros_like(x.x)), ones_like=lambda x: Dual(np.ones_like(x.x)),
    where=where, jvp=jvp, to_numpy=lambda x: x.x,
    asarray=lambda x, dtype=None: Dual(np.asarray(getattr(x, "x", x), dtype)),
)  # fmt: skip
