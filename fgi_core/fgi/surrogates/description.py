"""What a definition says about itself, taken apart: for the command line and the gallery.

Nothing here is written down a second time: the sentence, the equations and the source come from the
docstring, parameters and ranges from the fields, the names in other libraries from ``presets``.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from .. import surrogates
from ..parameters import RANGES, WHOLE, Definition, brief
from .surrogate import Surrogate

__all__ = ["Description", "Parameter", "Preset", "catalogue", "group_sentence"]


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter of a surrogate."""

    name: str
    default: Any
    range: str
    learnable: bool


@dataclasses.dataclass(frozen=True)
class Preset:
    """What a library calls a surrogate."""

    name: str
    make: Callable[..., Surrogate]

    @property
    def library(self) -> str:
        return self.name.partition(".")[0]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The library's parameters and their defaults; ``inspect.Parameter.empty`` for none."""
        return {p.name: p.default for p in inspect.signature(self.make).parameters.values()}

    @property
    def required(self) -> tuple[str, ...]:
        """The parameters that the library has no default for."""
        empty = inspect.Parameter.empty
        return tuple(name for name, default in self.parameters.items() if default is empty)

    @property
    def signature(self) -> str:
        """``snntorch.atan(alpha=2.0)``: as the library has it."""
        shown = (
            name if name in self.required else f"{name}={default!r}"
            for name, default in self.parameters.items()
        )
        return f"{self.name}({', '.join(shown)})"

    @property
    def surrogate(self) -> Surrogate:
        """At the library's defaults, and at 1 where it has none."""
        return self.make(**dict.fromkeys(self.required, 1))

    @property
    def ours(self) -> str:
        """``ATan(alpha=2.0)``, and at which values of the parameters without a default."""
        at = ", ".join(f"{name}=1" for name in self.required)
        return brief(self.surrogate) + (f" at {at}" if at else "")

    def to_json(self) -> dict[str, Any]:
        """As ``Description.to_json``."""
        given = {n: _json(v) for n, v in self.parameters.items() if n not in self.required}
        return {
            "name": self.name,
            "parameters": given,
            "required": list(self.required),
            "surrogate": self.ours,
        }


@dataclasses.dataclass(frozen=True)
class Description:
    """One class of the catalogue."""

    definition: type[Surrogate]
    group: str
    sentence: str
    equations: str
    text: str
    source: str
    parameters: tuple[Parameter, ...]
    presets: tuple[Preset, ...]

    @classmethod
    def of(cls, definition: type[Surrogate]) -> Description:
        sentence, equations, text, source = _sections(definition.__doc__ or "")
        return cls(
            definition=definition,
            group=definition.group,
            sentence=sentence,
            equations=equations,
            text=text,
            source=source,
            parameters=tuple(
                Parameter(
                    name=field.name,
                    default=field.default,
                    range=_range(field.metadata.get("range")),
                    learnable=field.name in definition.learnable,
                )
                for field in dataclasses.fields(definition)
                if field.name not in definition._keywords
            ),
            presets=tuple(Preset(name, make) for name, make in definition.presets.items()),
        )

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def class_name(self) -> str:
        return self.definition.__name__

    @property
    def libraries(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(preset.library for preset in self.presets))

    @property
    def random(self) -> bool:
        """Whether a call takes a key, at the defaults."""
        return self.definition()._is_random

    def mentions(self, text: str) -> bool:
        """Whether name, docstring or the names in other libraries have the text in them."""
        words = (
            self.name,
            self.definition.__doc__ or "",
            *(preset.name for preset in self.presets),
        )
        return any(text.lower() in word.lower() for word in (self.class_name, *words))

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold; infinities as the strings "inf" and "-inf", which JSON has not."""
        return {
            "name": self.name,
            "class": self.class_name,
            "group": self.group,
            "sentence": self.sentence,
            "equations": self.equations.splitlines(),
            "source": self.source,
            "parameters": [
                {
                    "name": p.name,
                    "default": _json(p.default),
                    "range": p.range,
                    "learnable": p.learnable,
                }
                for p in self.parameters
            ],
            "random": self.random,
            "primitive": self.definition.antiderivative is not Surrogate.antiderivative,
            "presets": [preset.to_json() for preset in self.presets],
        }


def catalogue() -> tuple[Description, ...]:
    """Every class, group after group."""
    return tuple(
        Description.of(definition)
        for name, definition in surrogates.catalogue().items()
        if not name.startswith("_")
    )


def group_sentence(group: str) -> str:
    """What a module of the catalogue says that it holds."""
    module = importlib.import_module(f"{surrogates.__name__}.catalogue.{group}")
    return " ".join((module.__doc__ or "").partition("\n\n")[0].split())


def _sections(docstring: str) -> tuple[str, str, str, str]:
    """The sentence, the indented equations, the words after them, the source."""
    sentence, _, rest = inspect.cleandoc(docstring).partition("\n\n")
    lines = rest.splitlines()
    end = next((i for i, line in enumerate(lines) if line and line[0] != " "), len(lines))
    text, _, source = "\n".join(lines[end:]).partition("Source:")
    equations = inspect.cleandoc("\n" + "\n".join(lines[:end]))
    return " ".join(sentence.split()), equations, text.strip(), " ".join(source.split())


def _range(word: str | None) -> str:
    if word is None:
        return "anything"
    if "|" in word:
        return ", ".join(f'"{choice}"' for choice in word.split("|"))
    return (RANGES | WHOLE)[word][0]


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Definition):
        return value.to_config()
    return value if value is None or isinstance(value, str | int | float | bool) else repr(value)
