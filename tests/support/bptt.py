"""Backpropagation through time in NumPy, written out by hand: nothing here differentiates itself.

Each neuron has one step forward, in the arrangement of its publication, and the same step backward,
in which the spike's derivative is the surrogate's slope. A network is a loop over them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

Numbers = Any
Slope = Callable[[Numbers], Numbers]


def normal_density(x: Numbers, mean: float, deviation: float) -> Numbers:
    z = (x - mean) / deviation
    return np.exp(-z * z / 2) / (deviation * np.sqrt(2 * np.pi))


SLOPES: dict[str, Slope] = {
    "gaussian": lambda x: np.exp(-x * x / 2),
    "triangle": lambda x: np.maximum(0, 1 - np.abs(x)),
    "yin": lambda x: 0.5 * (
        1.15 * normal_density(x, 0, 0.5)
        - 0.15 * normal_density(x, 0.5, 3)
        - 0.15 * normal_density(x, -0.5, 3)
    ),
    "brf": lambda x: 0.5 * (1.15 * normal_density(x, 0, 0.5) - 0.3 * normal_density(x, 0, 3)),
}  # fmt: skip


def sigmoid(a: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-a))


class Cell:
    """One neuron: ``forward`` returns (state, output, memo), ``backward`` undoes it."""

    states: ClassVar[tuple[str, ...]] = ()
    slope: Slope

    def start(self, state: str) -> float:
        return 0.0

    def values(self, p: dict[str, Numbers]) -> dict[str, Numbers]:
        """The learned parameters in their range."""
        raise NotImplementedError

    def chain(self, p: dict[str, Numbers], d: dict[str, Numbers]) -> dict[str, Numbers]:
        """From the gradient of the values, summed over time, to that of what is stored."""
        raise NotImplementedError

    def forward(self, c: Any, s: Any, x: Numbers) -> tuple[Any, Numbers, Any]:
        raise NotImplementedError

    def backward(self, c: Any, memo: Any, ds: Any, dz: Numbers) -> tuple[Any, Numbers, Any]:
        """Gradients of (old state, input, values) from those of (new state, output)."""
        raise NotImplementedError


def sigmoids(p: dict[str, Numbers]) -> dict[str, Numbers]:
    return {name: sigmoid(a) for name, a in p.items()}


def sigmoids_back(p: dict[str, Numbers], d: dict[str, Numbers]) -> dict[str, Numbers]:
    return {name: d[name] * sigmoid(a) * (1 - sigmoid(a)) for name, a in p.items()}


class Integrator(Cell):
    states = ("v",)
    values = staticmethod(sigmoids)  # type: ignore[assignment]
    chain = staticmethod(sigmoids_back)  # type: ignore[assignment]

    def forward(self, c: Any, s: Any, x: Numbers) -> tuple[Any, Numbers, Any]:
        v = c["beta"] * s["v"] + (1 - c["beta"]) * x
        return {"v": v}, v, (s["v"], x)

    def backward(self, c: Any, memo: Any, ds: Any, dz: Numbers) -> tuple[Any, Numbers, Any]:
        v, x = memo
        d = ds["v"] + dz
        return {"v": c["beta"] * d}, (1 - c["beta"]) * d, {"beta": d * (v - x)}


class LIF(Cell):
    states = ("v",)
    values = staticmethod(sigmoids)  # type: ignore[assignment]
    chain = staticmethod(sigmoids_back)  # type: ignore[assignment]

    def __init__(self, reset: str, *, threshold: float, rest: float = 0.0, to: float = 0.0) -> None:
        self.reset, self.threshold, self.rest, self.to = reset, threshold, rest, to
        self.slope = SLOPES["triangle"]

    def start(self, state: str) -> float:
        return self.rest if state == "v" else 0.0

    def forward(self, c: Any, s: Any, x: Numbers) -> tuple[Any, Numbers, Any]:
        v = s["v"]
        u = v + (1 - c["beta"]) * (x + self.rest - v)
        z = 1.0 * (u > self.threshold)
        after = u - self.threshold * z if self.reset == "subtract" else np.where(z > 0, self.to, u)
        return {"v": after}, z, (v, x, u, z)

    def backward(self, c: Any, memo: Any, ds: Any, dz: Numbers) -> tuple[Any, Numbers, Any]:
        v, x, u, z = memo
        after = ds["v"]
        if self.reset == "subtract":
            dz, du = dz - self.threshold * after, after
        else:
            dz, du = dz + (self.to - u) * after, (1 - z) * after
        du = du + self.slope(u - self.threshold) * dz
        return (
            {"v": c["beta"] * du},
            (1 - c["beta"]) * du,
            {"beta": (v - x - self.rest) * du},
        )


class DelayedLIF(Cell):
    """snnTorch's: the input arrives whole, the reset one step later and as a constant."""

    states = ("v",)
    values = staticmethod(sigmoids)  # type: ignore[assignment]
    chain = staticmethod(sigmoids_back)  # type: ignore[assignment]

    def __init__(self, threshold: float) -> None:
        self.threshold, self.slope = threshold, SLOPES["triangle"]

    def forward(self, c: Any, s: Any, x: Numbers) -> tuple[Any, Numbers, Any]:
        v = s["v"]
        u = c["beta"] * v + x - self.threshold * (v > self.threshold)
        return {"v": u}, 1.0 * (u > self.threshold), (v, u)

    def backward(self, c: Any, memo: Any, ds: Any, dz: Numbers) -> tuple[Any, Numbers, Any]:
        v, u = memo
        du = ds["v"] + self.slope(u - self.threshold) * dz
        return {"v": c["beta"] * du}, du, {"beta": v * du}


class Synaptic(LIF):
    states = ("v", "i")

    def forward(self, c: Any, s: Any, x: Numbers) -> tuple[Any, Numbers, Any]:
        i = c["alpha"] * s["i"] + x
        after, z, memo = super().forward(c, s, i)
        return {**after, "i": i}, z, (s["i"], memo)

    def backward(self, c: Any, memo: Any, ds: Any, dz: Numbers) -> tuple[Any, Numbers, Any]:
        i, inner = memo
        before, dx, d = super().backward(c, inner, ds, dz)
        dx = dx + ds["i"]
        return {**before, "i": c["alpha"] * dx}, dx, {**d, "alpha": i * dx}


class ALIF(Cell):
    states = ("u", "a")
    values = staticmethod(sigmoids)  # type: ignore[assignment]
    chain = staticmethod(sigmoids_back)  # type: ignore[assignment]

    def __init__(self, theta: float = 0.1, beta: float = 0.8) -> None:
        self.theta, self.beta, self.slope = theta, beta, SLOPES["gaussian"]

    def forward(self, c: Any, s: Any, x: Numbers) -> tuple[Any, Numbers, Any]:
        th = self.theta + self.beta * s["a"]
        u = c["alpha"] * s["u"] + (1 - c["alpha"]) * x
        z = 1.0 * (u > th)
        after = {"u": u - z * th, "a": c["rho"] * s["a"] + (1 - c["rho"]) * z}
        return after, z, (s["u"], s["a"], x, th, u, z)

    def backward(self, c: Any, memo: Any, ds: Any, dz: Numbers) -> tuple[Any, Numbers, Any]:
        before, a, x, th, u, z = memo
        dz = dz + (1 - c["rho"]) * ds["a"] - th * ds["u"]
        fired = self.slope(u - th) * dz
        du = ds["u"] + fired
        dth = -z * ds["u"] - fired
        return (
            {"u": c["alpha"] * du, "a": c["rho"] * ds["a"] + self.beta * dth},
            (1 - c["alpha"]) * du,
            {"alpha": (before - x) * du, "rho": (a - z) * ds["a"]},
        )


class YinALIF(Cell):
    states = ("m", "b", "z")

    def __init__(self) -> None:
        self.theta, self.beta, self.slope = 0.01, 1.8, SLOPES["yin"]

    def values(self, p: dict[str, Numbers]) -> dict[str, Numbers]:
        return {name: np.exp(-1 / tau) for name, tau in p.items()}

    def chain(self, p: dict[str, Numbers], d: dict[str, Numbers]) -> dict[str, Numbers]:
        return {name: d[name] * np.exp(-1 / tau) / tau**2 for name, tau in p.items()}

    def forward(self, c: Any, s: Any, x: Numbers) -> tuple[Any, Numbers, Any]:
        b = c["rho"] * s["b"] + (1 - c["rho"]) * s["z"]
        th = self.theta + self.beta * b
        m = c["alpha"] * s["m"] + (1 - c["alpha"]) * x - th * s["z"]
        z = 1.0 * (m > th)
        return {"m": m, "b": b, "z": z}, z, (s, x, th, m)

    def backward(self, c: Any, memo: Any, ds: Any, dz: Numbers) -> tuple[Any, Numbers, Any]:
        s, x, th, m = memo
        fired = self.slope(m - th) * (dz + ds["z"])
        dm = ds["m"] + fired
        db = ds["b"] + self.beta * (-fired - s["z"] * dm)
        return (
            {"m": c["alpha"] * dm, "b": c["rho"] * db, "z": (1 - c["rho"]) * db - th * dm},
            (1 - c["alpha"]) * dm,
            {"alpha": (s["m"] - x) * dm, "rho": (s["b"] - s["z"]) * db},
        )


class RF(Cell):
    states = ("u", "v")

    def __init__(self, dt: float = 0.01, theta: float = 1.0) -> None:
        self.dt, self.theta, self.slope = dt, theta, SLOPES["brf"]

    def values(self, p: dict[str, Numbers]) -> dict[str, Numbers]:
        return {"omega": np.abs(p["omega"]), "b": -np.abs(p["b_off"])}

    def chain(self, p: dict[str, Numbers], d: dict[str, Numbers]) -> dict[str, Numbers]:
        return {"omega": d["omega"] * np.sign(p["omega"]), "b_off": -d["b"] * np.sign(p["b_off"])}

    def turn(self, omega: Numbers, b: Numbers, s: Any, x: Numbers) -> tuple[Numbers, Numbers]:
        # One complex step: w' = w + dt ((b + i omega) w + x).
        w = s["u"] + 1j * s["v"]
        w = w + self.dt * ((b + 1j * omega) * w + x)
        return w.real, w.imag

    def turn_back(
        self, omega: Numbers, b: Numbers, s: Any, du: Numbers, dv: Numbers
    ) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        dt, u, v = self.dt, s["u"], s["v"]
        grow = 1 + dt * b
        before_u, before_v = grow * du + dt * omega * dv, grow * dv - dt * omega * du
        return before_u, before_v, dt * (u * dv - v * du), dt * (u * du + v * dv)

    def forward(self, c: Any, s: Any, x: Numbers) -> tuple[Any, Numbers, Any]:
        u, v = self.turn(c["omega"], c["b"], s, x)
        return {"u": u, "v": v}, 1.0 * (u > self.theta), (s, u)

    def backward(self, c: Any, memo: Any, ds: Any, dz: Numbers) -> tuple[Any, Numbers, Any]:
        s, u = memo
        du = ds["u"] + self.slope(u - self.theta) * dz
        u0, v0, omega, b = self.turn_back(c["omega"], c["b"], s, du, ds["v"])
        return {"u": u0, "v": v0}, self.dt * du, {"omega": omega, "b": b}


class BRF(RF):
    states = ("u", "v", "q")

    def values(self, p: dict[str, Numbers]) -> dict[str, Numbers]:
        omega = np.abs(p["omega"])
        edge = (-1 + np.sqrt(1 - (self.dt * omega) ** 2)) / self.dt
        return {"omega": omega, "b": edge - np.abs(p["b_off"])}

    def chain(self, p: dict[str, Numbers], d: dict[str, Numbers]) -> dict[str, Numbers]:
        omega = np.abs(p["omega"])
        edge = -self.dt * omega / np.sqrt(1 - (self.dt * omega) ** 2)
        return {
            "omega": (d["omega"] + d["b"] * edge) * np.sign(p["omega"]),
            "b_off": -d["b"] * np.sign(p["b_off"]),
        }

    def forward(self, c: Any, s: Any, x: Numbers) -> tuple[Any, Numbers, Any]:
        u, v = self.turn(c["omega"], c["b"] - s["q"], s, x)
        z = 1.0 * (u > self.theta + s["q"])
        return {"u": u, "v": v, "q": 0.9 * s["q"] + z}, z, (s, u)

    def backward(self, c: Any, memo: Any, ds: Any, dz: Numbers) -> tuple[Any, Numbers, Any]:
        s, u = memo
        fired = self.slope(u - self.theta - s["q"]) * (dz + ds["q"])
        du = ds["u"] + fired
        u0, v0, omega, b = self.turn_back(c["omega"], c["b"] - s["q"], s, du, ds["v"])
        q0 = 0.9 * ds["q"] - fired - b
        return {"u": u0, "v": v0, "q": q0}, self.dt * du, {"omega": omega, "b": b}


def loss_and_gradient(
    cell: Cell,
    params: dict[str, dict[str, Numbers]],
    xs: Numbers,
    labels: Numbers,
    *,
    output: str,
    gain: float,
) -> tuple[float, dict[str, dict[str, Numbers]], float]:
    """Mean cross entropy, its gradient, and the share of time steps with a spike."""
    steps, batch = xs.shape[:2]
    layers = [(name, Integrator() if name == "readout" else cell) for name in params]
    own = {n: {k: a for k, a in p.items() if k not in WEIGHTS} for n, p in params.items()}
    c = {name: cell.values(own[name]) for name, cell in layers}
    shapes = {name: (batch, p["input"].shape[1]) for name, p in params.items()}
    states = {n: {k: np.full(shapes[n], cell.start(k)) for k in cell.states} for n, cell in layers}
    heard = {name: np.zeros(shapes[name]) for name, _ in layers}
    memos: list[dict[str, Any]] = []
    readout = []
    for x in xs:
        memo: dict[str, Any] = {}
        for name, cell in layers:
            p = params[name]
            current = x @ p["input"] + p.get("bias", 0.0)
            if "recurrent" in p:
                current = current + heard[name] @ p["recurrent"]
            states[name], z, kept = cell.forward(c[name], states[name], current)
            memo[name] = (x, heard[name], kept, z)
            heard[name] = x = z
        memos.append(memo)
        readout.append(x)
    weight = np.full(steps, 1 / steps) if output == "mean" else np.eye(steps)[-1]
    scores = gain * np.tensordot(weight, np.stack(readout), 1)
    shifted = scores - scores.max(axis=1, keepdims=True)
    chances = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    loss = -np.mean(np.log((chances * labels).sum(axis=1)))
    dscores = gain * (chances - labels) / batch

    gradient = {n: {k: np.zeros_like(a) for k, a in p.items()} for n, p in params.items()}
    dvalues = {n: {k: np.zeros(shapes[n][1]) for k in c[n]} for n in params}
    dstates = {n: {k: np.zeros(shapes[n]) for k in cell.states} for n, cell in layers}
    dheard = {name: np.zeros(shapes[name]) for name in params}
    for t in reversed(range(steps)):
        dz = weight[t] * dscores
        for name, cell in reversed(layers):
            p, d = params[name], gradient[name]
            x, before, kept, _ = memos[t][name]
            dstates[name], dx, dv = cell.backward(c[name], kept, dstates[name], dz + dheard[name])
            for k, v in dv.items():
                dvalues[name][k] += v.sum(axis=0)
            d["input"] += x.T @ dx
            if "bias" in p:
                d["bias"] += dx.sum(axis=0)
            if "recurrent" in p:
                d["recurrent"] += before.T @ dx
                dheard[name] = dx @ p["recurrent"].T
            dz = dx @ p["input"].T
    for name, cell in layers:
        gradient[name] |= cell.chain(own[name], dvalues[name])
    spikes = [memo[name][3].mean() for memo in memos for name in params if name != "readout"]
    return float(loss), gradient, float(np.mean(spikes))


WEIGHTS = ("input", "recurrent", "bias")
