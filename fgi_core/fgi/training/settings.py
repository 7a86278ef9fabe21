"""All that a run depends on, checked, as what JSON can hold."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .. import neurons, surrogates
from ..networks import Network
from ..neurons import Neuron
from ..surrogates.surrogate import Surrogate
from .optimiser import DECAYS
from .recipes import MODELS, RECIPES, recipe

__all__ = ["Settings", "settings"]

DTYPES = ("float32", "float64")
DEVICES = ("cpu", "cuda")
READINGS = ("row", "pixel")
SIDES = {"digits": 8}
MNIST_SIDE = 28


@dataclass(frozen=True)
class Settings:
    """All that a run depends on; two runs of equal settings have equal parameters.

    ``data`` is "digits" or the place of the MNIST files, ``seq_length`` how many steps make a
    sequence. ``current`` multiplies the sequences, ``gain`` the readout; ``clip`` is the largest
    norm of a gradient, 0 for any; ``device`` is "cpu", "cuda", or "" for what the framework takes.

    Errors: TypeError and ValueError naming what came and what was expected.
    """

    backend: str
    seq_length: int
    model: str = "alif"
    data: str = "digits"
    permuted: bool = False
    surrogate: Mapping[str, Any] | None = None
    """Name and parameters, as ``to_config`` has them; None for what was published."""
    hidden: int = 128
    epochs: int = 60
    batch: int = 64
    rate: float = 0.02
    decay: str = "cosine"
    clip: float = 1.0
    seed: int = 0
    dtype: str = "float32"
    device: str = ""
    neuron: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the neuron that are not its defaults."""
    draws: Mapping[str, Any] = field(default_factory=dict)
    readout_draws: Mapping[str, Any] = field(default_factory=dict)
    output: str = "mean"
    scale: str = "fan_in"
    bias: bool = True
    gain: float = 1.0
    current: float = 1.0

    def __post_init__(self) -> None:
        for name, words in (
            ("model", tuple(MODELS)),
            ("decay", tuple(DECAYS)),
            ("dtype", DTYPES),
            ("device", ("", *DEVICES)),
        ):
            _one_of(name, getattr(self, name), words)
        for name in ("hidden", "epochs", "batch", "seq_length"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; expected an integer >= 1")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed is {self.seed!r}; expected an integer >= 0")
        for name, smallest in (("rate", "> 0"), ("clip", ">= 0")):
            value = getattr(self, name)
            right = isinstance(value, int | float) and math.isfinite(value) and value >= 0
            if not right or (smallest == "> 0" and value == 0):
                raise ValueError(f"{name} is {value!r}; expected a number {smallest}")
        self.network()

    def network(self) -> Network:
        """The network; what of it is learned is in the parameters."""
        return Network(self._neuron(), output=self.output, gain=self.gain)

    def initial(self, features: int, classes: int) -> dict[str, Any]:
        """Its first parameters, NumPy arrays of ``dtype``, the same for every framework."""
        return self.network().init(
            (features, self.hidden, classes),
            seed=self.seed,
            bias=self.bias,
            scale=self.scale,
            draws=_drawn(self.draws),
            readout_draws=_drawn(self.readout_draws),
            dtype=self.dtype,
        )

    def _neuron(self) -> Neuron:
        config = {"name": MODELS[self.model], **self.neuron}
        if self.surrogate is not None:
            surrogates.catalogue()  # loads what from_config knows by name
            config["spike"] = Surrogate.from_config(self.surrogate)
        return Neuron.from_config(config)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Settings:
        """Errors: ValueError for names that are unknown or missing, and for wrong values."""
        names = {f.name for f in fields(cls)}
        if not isinstance(content, Mapping) or set(content) != names:
            odd = sorted(set(content) ^ names) if isinstance(content, Mapping) else ["everything"]
            raise ValueError(f"settings differ in {', '.join(odd)} from those of this version")
        try:
            return cls(**content)
        except TypeError as error:
            raise ValueError(str(error)) from error

    def differences(self, given: Mapping[str, Any]) -> list[str]:
        """What is given and differs, "hidden: 64 here, 128 given"."""
        mine = self.to_json()
        return [
            f"{name}: {_shown(mine[name])} there, {_shown(value)} given"
            for name, value in given.items()
            if _plain(value) != _plain(mine[name])
        ]


def settings(
    *, backend: str, model: str | None = None, by: str | None = None, **given: Any
) -> Settings:
    """The settings of a run: what is given, before what the recipe says, before the defaults.

    ``by`` is "row" or "pixel" and stands for a ``seq_length``; ``recipe`` is a name in
    ``RECIPES``, which otherwise model and reading choose.

    Errors: as ``Settings``; ValueError for an unknown recipe or reading.
    """
    given = {name: value for name, value in given.items() if value is not None}
    name = given.pop("recipe", None)
    chosen: dict[str, Any] = {}
    if name is not None:
        _one_of("recipe", name, tuple(RECIPES))
        chosen = {"model": name.partition("-")[0], **RECIPES[name]}
    model = model or chosen.get("model", "alif")
    _one_of("model", model, tuple(MODELS))
    steps = seq_length(given.get("data", "digits"), by, given.pop("seq_length", None), chosen)
    if name is None:
        reading = "pixel" if steps == side(given.get("data", "digits")) ** 2 else "row"
        chosen = dict(recipe(model, reading))
    return Settings(**{**chosen, **given, "model": model, "backend": backend, "seq_length": steps})


def side(data: str) -> int:
    """Of the images, in pixels."""
    return SIDES.get(data, MNIST_SIDE)


def seq_length(data: str, by: str | None, given: int | None, chosen: Mapping[str, Any]) -> int:
    """How many steps, from a number of steps, a reading, or a recipe."""
    if by is not None:
        _one_of("by", by, READINGS)
        steps = side(data) ** (2 if by == "pixel" else 1)
        if given not in (None, steps):
            raise ValueError(f"by is {by!r} and seq-length {given}; expected one of the two")
        return steps
    if given is None:
        return int(chosen.get("seq_length", side(data)))
    pixels = side(data) ** 2
    if given < 1 or pixels % given:
        raise ValueError(f"seq-length is {given}; expected a divisor of {pixels}, all the pixels")
    return given


def _one_of(name: str, value: Any, words: tuple[str, ...]) -> None:
    if value not in words:
        close = difflib.get_close_matches(str(value), words, n=1)
        said = f"did you mean {close[0]}? " if close else ""
        known = ", ".join(word for word in words if word)
        raise ValueError(f"{name} is {value!r}; {said}expected one of {known}")


def _drawn(draws: Mapping[str, Any]) -> dict[str, Any]:
    return {name: getattr(neurons, kind)(*numbers) for name, (kind, *numbers) in draws.items()}


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)
