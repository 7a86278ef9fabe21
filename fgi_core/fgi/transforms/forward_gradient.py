"""Gradients by forward mode alone: the slope along random directions, times the directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from ..backend.dispatch import backend_of, namespace
from ..backend.members import missing
from ..backend.messages import describe
from ..backend.protocol import Array, Backend
from ..backend.trees import leaves as tree_leaves, rebuilt

if TYPE_CHECKING:
    from ..backend.protocol import Autodiff

__all__ = ["draw", "forward_gradient"]


def forward_gradient(
    f: Callable[[Any], Array], params: Any, key: Any, *, directions: int = 1
) -> tuple[Array, Any]:
    """Value and an unbiased estimate of the gradient of a scalar function, without reverse mode.

        (f(x), 1/K sum_k (grad f(x) . v_k) v_k),   v_k ~ N(0, I)

    K is ``directions``. Each costs one forward-mode derivative, and they are batched by ``vmap``;
    the expectation is the gradient, the variance falls as 1/K.

    ``params`` is an array, or nested dicts, lists and tuples of them, and the estimate is built
    like it, in its shapes and dtypes; its leaves that are no real floating arrays reach ``f`` as
    they are, and have None there. ``key`` is the framework's own key or generator; or the
    directions themselves, built like ``params``, for K > 1 with a first axis of length K. These are
    what ``torch.compile`` takes, which knows no ``torch.Generator``: ``fgi.forward.draw`` draws
    them. Where tensors of PyTorch require a gradient, ``torch.no_grad()`` saves recording one.

    Errors: TypeError where ``params`` holds no floating array, or arrays that no framework
    differentiates, where ``f`` returns no floating array, for a key of another kind, for directions
    not built like ``params``; ValueError where ``f`` returns no scalar, for directions of another
    shape, for less than one.

    Source: Baydin, Pearlmutter, Syme, Wood and Torr 2022, Gradients without Backpropagation
    (arXiv:2202.08587), Definition 1.
    """
    caller = "fgi.forward_gradient"
    backend, leaves, moving = _moving(caller, params)
    if not hasattr(backend, "jvp"):
        instead = "expected arrays of torch, jax or tensorflow; convert them"
        raise missing(backend, "jvp", caller=caller, instead=instead)
    xp = cast("Autodiff", backend)
    points = [leaves[i] for i in moving]
    vs = _directions(caller, xp, params, leaves, moving, key, directions)

    def scalar(*points: Array) -> Array:
        moved = dict(zip(moving, points, strict=True))
        y = f(rebuilt(params, iter([moved.get(i, leaf) for i, leaf in enumerate(leaves)])))
        return _checked(caller, xp, y)

    def along(*v: Array) -> tuple[Array, ...]:
        value, slope = xp.jvp(scalar, tuple(points), v)
        return value, *(xp.astype(slope, d.dtype) * d for d in v)

    value, *parts = (along if directions == 1 else xp.vmap(along))(*vs)
    if directions > 1:
        value, parts = value[0], [xp.mean(part, axis=0) for part in parts]
    found = dict(zip(moving, parts, strict=True))
    return value, rebuilt(params, iter([found.get(i) for i in range(len(leaves))]))


def draw(key: Any, params: Any, *, directions: int = 1) -> Any:
    """The random directions of ``forward_gradient``, which takes them in place of the key.

        v_k ~ N(0, I),   k = 1, ..., K

    Built like ``params``, in its dtypes; for K > 1 with a first axis of length K. A leaf that is no
    real floating array has None. NumPy draws too: the same directions for every framework.

    Errors: TypeError where ``params`` holds no floating array, for a key of another kind, for
    directions no integer; ValueError for less than one.
    """
    caller = "fgi.forward.draw"
    xp, leaves, moving = _moving(caller, params)
    vs = _directions(caller, xp, params, leaves, moving, key, directions)
    drawn = dict(zip(moving, vs, strict=True))
    return rebuilt(params, iter([drawn.get(i) for i in range(len(leaves))]))


def _moving(caller: str, params: Any) -> tuple[Backend, list[Any], list[int]]:
    """The backend, the leaves of ``params``, and which of them have a derivative."""
    leaves = list(tree_leaves(params))
    arrays = [leaf for leaf in leaves if hasattr(leaf, "dtype") and hasattr(leaf, "shape")]
    xp = backend_of(arrays[0], caller, "the first array") if arrays else namespace()
    moving = [
        i
        for i, leaf in enumerate(leaves)
        if isinstance(leaf, xp.Array) and leaf.dtype in xp.floating
    ]
    if not moving:
        raise TypeError(
            f"{caller}: params holds {', '.join(describe(leaf) for leaf in leaves)}; expected at "
            f"least one array of float16, bfloat16, float32 or float64"
        )
    return xp, leaves, moving


def _directions(
    caller: str,
    xp: Backend,
    params: Any,
    leaves: list[Any],
    moving: list[int],
    key: Any,
    count: int,
) -> list[Array]:
    """One array for each leaf that has a derivative, with an axis more where ``count`` > 1."""
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"{caller}: directions is {describe(count)}; expected an integer >= 1")
    if count < 1:
        raise ValueError(f"{caller}: directions is {count}; expected an integer >= 1")
    batch = (count,) if count > 1 else ()
    floating = isinstance(key, xp.Array) and key.dtype in xp.floating
    # A tuple, because torch.compile knows no union of types.
    if isinstance(key, (dict, list, tuple)) or floating:
        pairs = list(_beside(caller, params, key, "params"))
        return [_direction(caller, xp, batch, *pairs[i]) for i in moving]
    if not isinstance(key, xp.Key):
        raise TypeError(
            f"{caller}: key is {describe(key)}; expected {xp.name}'s own key or generator, or "
            f"directions built like params: fgi.forward.draw(key, params)"
        )
    keys = xp.split(key, len(moving))
    return [
        xp.astype(xp.normal(k, leaves[i], batch=batch), leaves[i].dtype)
        for k, i in zip(keys, moving, strict=True)
    ]


def _beside(caller: str, tree: Any, vs: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Place, leaf and direction for each leaf of ``tree``."""
    if isinstance(tree, dict):
        if not isinstance(vs, dict) or vs.keys() != tree.keys():
            raise _unlike(caller, place, f"a dict with {', '.join(map(str, tree))}", vs)
        for name, branch in tree.items():
            yield from _beside(caller, branch, vs[name], f"{place}[{name!r}]")
    elif isinstance(tree, list | tuple):
        if not isinstance(vs, list | tuple) or len(vs) != len(tree):
            raise _unlike(caller, place, f"a {type(tree).__name__} of {len(tree)}", vs)
        for i, (branch, v) in enumerate(zip(tree, vs, strict=True)):
            yield from _beside(caller, branch, v, f"{place}[{i}]")
    else:
        yield place, tree, vs


def _direction(
    caller: str, xp: Backend, batch: tuple[int, ...], place: str, leaf: Array, v: Any
) -> Array:
    if not isinstance(v, xp.Array) or v.dtype not in xp.floating:
        raise _unlike(caller, place, describe(leaf), v)
    expected = (*batch, *leaf.shape)
    if len(v.shape) != len(expected) or any(
        None not in pair and pair[0] != pair[1] for pair in zip(v.shape, expected, strict=True)
    ):
        raise ValueError(
            f"{caller}: {place} is {describe(leaf)}, its direction {describe(v)}; expected the "
            f"shape {expected}"
        )
    return xp.astype(v, leaf.dtype)


def _unlike(caller: str, place: str, expected: str, v: Any) -> TypeError:
    came = f"a dict with {', '.join(map(str, v))}" if isinstance(v, dict) else describe(v)
    if isinstance(v, list | tuple):
        came = f"{came} of {len(v)}"
    return TypeError(
        f"{caller}: {place} is {expected}, its direction {came}; expected the same; build the "
        f"directions like params: fgi.forward.draw(key, params)"
    )


def _checked(caller: str, xp: Backend, y: Any) -> Array:
    if not isinstance(y, xp.Array) or y.dtype not in xp.floating:
        raise TypeError(
            f"{caller}: f returned {describe(y)}; expected a scalar of float16, bfloat16, float32 "
            f"or float64"
        )
    if len(y.shape):
        raise ValueError(
            f"{caller}: f returned {describe(y)}; expected a scalar; sum or average in f"
        )
    return y
