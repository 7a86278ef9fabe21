"""Every way to run and differentiate a function in JAX, as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ...measure.mode import Build, Function, Mode, direct, table

__all__ = ["MODES"]

Pair = tuple[Any, Any]
DEVICES = 8


def reverse(f: Function, x: Array, u: Array) -> Pair:
    y, pullback = jax.vjp(f, x)
    return y, pullback(u)[0]


def changed(change: Callable[[Function, Array], Function]) -> Build:
    """Reverse mode through another form of the function, made once."""

    def build(f: Function, x: Array, u: Array) -> Callable[[Array, Array], Pair]:
        g = change(f, x)
        return lambda x, u: reverse(g, x, u)

    return build


def gradient(transform: Callable[[Function], Callable[[Array, Array], Array]]) -> Build:
    """A functional gradient, made once; the value comes from the function as it stands."""

    def build(f: Function, x: Array, u: Array) -> Callable[[Array, Array], Pair]:
        of = transform(f)
        return lambda x, u: (f(x), of(x, u))

    return build


def jitted(f: Function, *example: Array) -> Callable[[Array, Array], Pair]:
    return jax.jit(lambda x, u: reverse(f, x, u))


def grad(f: Function) -> Any:
    return jax.grad(lambda x, u: (f(x) * u).sum())


def batched(f: Function) -> Any:
    return jax.vmap(grad(f), in_axes=1, out_axes=1)


def forward(f: Function, x: Array, u: Array) -> Pair:
    y, dy = jax.jvp(f, (x,), (u,))
    return y, dy


def linearized(f: Function, x: Array, u: Array) -> Pair:
    y, df = jax.linearize(f, x)
    return y, df(u)


def scanned(f: Function, *example: Array) -> Callable[[Array, Array], Pair]:
    def g(x: Array) -> Any:
        return lax.scan(lambda carry, column: (carry, f(column)), None, x.T)[1].T

    return jitted(g)


def looped(f: Function, *example: Array) -> Callable[[Array, Array], Pair]:
    def g(x: Array) -> Any:
        start = (0, jnp.zeros_like(x))
        return lax.while_loop(lambda state: state[0] < 2, lambda s: (s[0] + 1, f(x)), start)[1]

    return jax.jit(lambda x, u: forward(g, x, u))


def exported(f: Function, x: Array, vjp_order: int = 1) -> Function:
    from jax import export

    program = export.export(jax.jit(f))(x).serialize(vjp_order=vjp_order)
    return export.deserialize(program).call


def no_export() -> str | None:
    try:
        from jax import export  # noqa: F401
    except ImportError:
        return f"jax {jax.__version__} has no jax.export"
    return None


def sharded(f: Function, *example: Array) -> Callable[[Array, Array], Pair]:
    """The columns are spread over the devices, and filled up to a multiple of them."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:DEVICES]), ("columns",))
    spec = jax.sharding.PartitionSpec(None, "columns")  # type: ignore[no-untyped-call]
    columns = jax.sharding.NamedSharding(mesh, spec)
    pair = jax.jit(
        lambda x, u: reverse(f, x, u), in_shardings=(columns, columns), out_shardings=columns
    )

    def call(x: Array, u: Array) -> Pair:
        n = x.shape[1]
        more = ((0, 0), (0, -n % DEVICES))
        y, dx = pair(jnp.pad(x, more), jnp.pad(u, more))
        return y[:, :n], dx[:, :n]

    return call


def one_device() -> str | None:
    if (n := jax.device_count()) < DEVICES:
        return (
            f"jax has {n} of {DEVICES} devices; on a CPU set XLA_FLAGS="
            f"--xla_force_host_platform_device_count={DEVICES} before it starts"
        )
    return None


MODES = table(
    Mode("eager", "vjp, operation by operation", direct(reverse), quick=True),
    Mode("jit", "value and vjp, compiled", jitted, quick=True),
    Mode("grad", "jax.grad", gradient(grad), quick=True),
    Mode("jvp", "forward mode", direct(forward), quick=True),
    Mode("vmap(grad)", "jax.grad, batched", gradient(batched), quick=True),
    Mode(
        "jit(vmap(grad))", "jax.grad, batched and compiled", gradient(lambda f: jax.jit(batched(f)))
    ),
    Mode("linearize", "jax.linearize", direct(linearized)),
    Mode("scan", "inside lax.scan, reverse mode", scanned),
    Mode("while_loop", "inside lax.while_loop, forward mode", looped),
    Mode("remat", "jax.checkpoint", changed(lambda f, x: jax.checkpoint(f))),
    Mode("export", "exported with its vjp, serialised, called", changed(exported), no_export),
    Mode("shard", f"spread over {DEVICES} devices", sharded, one_device),
)
