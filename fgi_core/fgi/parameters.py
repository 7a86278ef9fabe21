"""Immutable values with checked parameters: what surrogates and value functions have in common.

A definition is a class whose annotated fields are its parameters::

    class ATan(Surrogate):
        alpha: Number = positive(default=2.0)

It becomes a frozen dataclass. Equal parameters make equal objects; numbers are compared by value,
arrays by identity, since an array has no truth value to compare by.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self, TypeAlias, dataclass_transform

from .backend.dispatch import backend_of
from .backend.messages import describe, mixed_backends_error
from .backend.protocol import Array, Backend

__all__ = [
    "Definition",
    "Number",
    "brief",
    "choice",
    "count",
    "did_you_mean",
    "integer",
    "number",
    "positive",
    "unit",
]

Number: TypeAlias = float | Array
"""A Python number, or a floating array of the framework, which is then differentiable."""


# Fields name their range by a word: torch.compile looks into a class whose fields hold objects no
# further than to say that it cannot. Ranges are comparisons: it has no math.isfinite of a number
# that changes.
RANGES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "finite": ("a finite number", lambda v: -math.inf < v < math.inf),
    "extended": ("a number, infinite if you like", lambda v: -math.inf <= v <= math.inf),
    "positive": ("a number > 0", lambda v: 0 < v < math.inf),
    "unit": ("a number from 0 to 1", lambda v: 0 <= v <= 1),
}
WHOLE: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "integer": ("an integer", lambda v: True),
    "count": ("an integer >= 1", lambda v: v >= 1),
}


def number(default: float, *, range: str = "finite") -> Any:
    """A parameter that is any finite number ("extended": or an infinity), or an array."""
    return dataclasses.field(default=default, metadata={"range": range})


def positive(default: float) -> Any:
    """A parameter > 0, or an array."""
    return number(default, range="positive")


def unit(default: float) -> Any:
    """A parameter from 0 to 1, or an array."""
    return number(default, range="unit")


def integer(default: int) -> Any:
    """A parameter that is a Python integer."""
    return number(default, range="integer")


def count(default: int) -> Any:
    """A parameter that is a Python integer >= 1."""
    return number(default, range="count")


def keyword(*, default: Any, kw_only: bool = True) -> Any:
    """A parameter of its own kind, which is only passed by name."""
    return dataclasses.field(default=default, kw_only=kw_only)


SCHEMA_KEY, SCHEMA = "schema", 1
"""A file may say by which rules its configuration was written; each change of them counts one."""

PLAIN = (int, float, str, type(None))
"""Parameters of these kinds are no arrays."""

# Shown in an error as they are written; anything else by its type.
SHOWN = (str, bool, complex, int, float)


def choice(*others: str, default: str) -> Any:
    """A parameter that is one of a few words."""
    return dataclasses.field(default=default, metadata={"range": "|".join((default, *others))})


def is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


_definitions: list[type[Definition]] = []
_listeners: list[Callable[[type[Definition]], None]] = []


def each_definition(tell: Callable[[type[Definition]], None]) -> None:
    """Call ``tell`` with every class of definitions: those there are, and each one to come."""
    for definition in _definitions:
        tell(definition)
    _listeners.append(tell)


@dataclass_transform(
    frozen_default=True, field_specifiers=(keyword, number, positive, unit, integer, count, choice)
)
class Definition:
    """An immutable, hashable, picklable value with a name and parameters."""

    name: ClassVar[str]
    """Under which ``to_config`` stores it, and ``fgi.functional`` has it where fgi defines it."""

    group: ClassVar[str] = ""
    """The module that defines it, without its package."""

    _built_in: ClassVar[bool] = False
    """Whether fgi defines it."""
    _by_name: ClassVar[dict[str, Any]]
    _names: ClassVar[tuple[str, ...]] = ()
    _required: ClassVar[tuple[str, ...]] = ()
    _ranges: ClassVar[tuple[tuple[str, str], ...]] = ()
    _keywords: ClassVar[dict[str, Any]] = {}
    """Those passed by name alone, which are left unsaid while they have their defaults."""
    _nested: ClassVar[dict[str, Any]] = {}
    """Parameters that are definitions themselves, and of which kind."""
    _array_names: ClassVar[tuple[str, ...]]
    """Of each object; no parameter."""

    def __init_subclass__(cls, *, name: str | None = None) -> None:
        # eq=False: the generated comparison would ask arrays for a truth value.
        dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
        fields = sorted(dataclasses.fields(cls), key=lambda f: f.kw_only is True)  # type: ignore[arg-type]
        cls._names = tuple(f.name for f in fields)
        cls._required = tuple(
            f.name
            for f in fields
            if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        )
        cls._keywords = {f.name: f.default for f in fields if f.kw_only}
        cls._ranges = tuple((f.name, f.metadata["range"]) for f in fields if f.metadata)
        if Definition in cls.__bases__:
            cls._by_name = {}
            if name is None:
                return  # a kind, of which others are
        if name is None:
            name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        package, *inside = cls.__module__.split(".")
        cls.group = cls.__module__.rpartition(".")[2]
        cls._built_in = package == __name__.partition(".")[0]
        if cls._built_in:
            # Pickles name a class by its module: by the one that is public.
            cls.__module__ = ".".join([package, *inside[:1]])
        cls.name = name if cls._built_in else f"{cls.__module__}:{cls.__qualname__}"
        if not cls.__name__.startswith("_"):
            cls._by_name[cls.name] = cls
        _definitions.append(cls)
        for tell in _listeners:
            tell(cls)

    def __post_init__(self) -> None:
        """Check each parameter. Subclasses go on with what two parameters owe each other."""
        for name, range in self._ranges:
            object.__setattr__(self, name, self._checked(name, range))
        # Kept, for every call asks. Numbers first: while it compiles, PyTorch does not answer
        # hasattr for those that change.
        arrays = [
            name
            for name, value in self.parameters.items()
            if not isinstance(value, PLAIN) and hasattr(value, "dtype")
        ]
        object.__setattr__(self, "_array_names", tuple(arrays))

    def _checked(self, name: str, range: str) -> Any:
        value = getattr(self, name)
        kind = type(self).__name__
        if "|" in range:
            words = range.split("|")
            if isinstance(value, str) and value in words:
                return value
            came = repr(value) if isinstance(value, SHOWN) else describe(value)
            wrong = ValueError if isinstance(value, str) else TypeError
            raise wrong(f"{kind}: {name} is {came}; expected one of {', '.join(words)}")
        if range in WHOLE:
            text, contains = WHOLE[range]
            if isinstance(value, numbers.Integral) and not isinstance(value, bool):
                if not contains(value):
                    raise ValueError(f"{kind}: {name} is {value!r}; expected {text}")
                return int(value)
            came = repr(value) if isinstance(value, SHOWN) else describe(value)
            raise TypeError(f"{kind}: {name} is {came}; expected {text}")
        text, contains = RANGES[range]
        if is_number(value):
            if not contains(value):
                raise ValueError(f"{kind}: {name} is {value!r}; expected {text}")
            return float(value)
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            xp = backend_of(value, kind, name)
            if value.dtype in xp.floating:
                return value
        came = repr(value) if isinstance(value, SHOWN) else describe(value)
        raise TypeError(f"{kind}: {name} is {came}; expected {text}, or a floating array")

    def _ascending(self, lower: str, upper: str) -> None:
        """ValueError unless one parameter is less than the other; arrays are not looked into."""
        low, high = getattr(self, lower), getattr(self, upper)
        if is_number(low) and is_number(high) and not low < high:
            raise ValueError(
                f"{type(self).__name__}: {lower} is {low!r} and {upper} is {high!r}; expected "
                f"{lower} < {upper}"
            )

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters by name."""
        return {name: getattr(self, name) for name in self._names}

    @property
    def arrays(self) -> dict[str, Array]:
        """Those parameters that are arrays."""
        return {name: getattr(self, name) for name in self._array_names}

    def in_dtype(self, xp: Backend, dtype: Any) -> Self:
        """The same definition with its arrays, if any, in the dtype that is computed in.

        Errors: TypeError where they are not arrays of ``xp``.
        """
        if not self._array_names:
            return self
        arrays = self.arrays
        for name, value in arrays.items():
            if not isinstance(value, xp.Array):
                raise mixed_backends_error(type(self).__name__, xp, name, backend_of(value, name))
        return self.replace(**{name: xp.astype(value, dtype) for name, value in arrays.items()})

    def replace(self, **parameters: Any) -> Self:
        """The same definition with some parameters changed."""
        return dataclasses.replace(self, **parameters)  # type: ignore[type-var]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        def key(value: Any) -> Any:
            return ("array", id(value)) if hasattr(value, "dtype") else value

        return (type(self), *(key(value) for value in self.parameters.values()))

    def __repr__(self) -> str:
        shown = (f"{name}={v!r}" for name, v in self._said())
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def _said(self) -> list[tuple[str, Any]]:
        return [
            (name, value)
            for name, value in self.parameters.items()
            if name not in self._keywords or value != self._keywords[name]
        ]

    def to_config(self) -> dict[str, Any]:
        """Name and parameters as what JSON can hold; ``fgi.from_config`` makes the equal object.

        Errors: TypeError where a parameter is an array or a function, which JSON cannot hold.
        """
        config: dict[str, Any] = {"name": self.name}
        for name, value in self._said():
            if isinstance(value, Definition):
                config[name] = value.to_config()
            elif is_number(value) or isinstance(value, str):
                config[name] = value
            elif value is None:
                continue
            else:
                raise TypeError(
                    f"{type(self).__name__}.to_config: {name} is {describe(value)}; expected a "
                    f"number; write .replace({name}=float(...)).to_config()"
                )
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The object whose ``to_config`` this is.

        Errors: TypeError where ``config`` is no mapping with a name; ValueError for a name that
        nothing imported so far defines, or for parameters that the definition has not.
        """
        if not isinstance(config, Mapping) or not isinstance(config.get("name"), str):
            raise TypeError(
                f"fgi.from_config: config is {config!r}; expected a mapping such as "
                f"{{'name': 'atan', 'alpha': 2.0}}"
            )
        schema = config.get(SCHEMA_KEY, SCHEMA)
        if isinstance(schema, bool) or not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
            raise ValueError(
                f"fgi.from_config: {SCHEMA_KEY} is {schema!r}; expected {SCHEMA} or less; a newer "
                f"fgi wrote it: update fgi"
            )
        definition = cls.by_name(config["name"])
        parameters = {n: value for n, value in config.items() if n not in ("name", SCHEMA_KEY)}
        unknown = [name for name in parameters if name not in definition._names]
        if unknown:
            raise ValueError(
                f"fgi.from_config: {config['name']} has no parameter {', '.join(unknown)}; "
                f"expected {', '.join(definition._names)}"
            )
        missing = [name for name in definition._required if name not in parameters]
        if missing:
            raise ValueError(
                f"fgi.from_config: {config['name']} is without {', '.join(missing)}, which has no "
                f"default; expected {', '.join(definition._names)}"
            )
        for name, value in parameters.items():
            if name in definition._nested and isinstance(value, Mapping):
                parameters[name] = definition._nested[name].from_config(value)
        return definition(**parameters)

    @classmethod
    def by_name(cls, name: str) -> type[Self]:
        """The class of that name.

        Errors: ValueError naming the close ones, where there is none.
        """
        if name in cls._by_name:
            found: type[Self] = cls._by_name[name]
            return found
        raise ValueError(
            f"fgi: unknown {cls.__name__.lower()} {name!r}; {did_you_mean(name, cls._by_name)}"
            f"expected one of {', '.join(n for n in cls._by_name if ':' not in n)}, or one of "
            f"your own, imported before"
        )


def brief(definition: Definition) -> str:
    """What differs from the defaults, in five digits: ``Gaussian(sigma=0.35355)``."""
    defaults = {f.name: f.default for f in dataclasses.fields(definition)}  # type: ignore[arg-type]

    def shown(value: Any) -> str:
        if isinstance(value, Definition):
            return brief(value)
        if hasattr(value, "dtype"):
            return f"<{describe(value)}>"
        if is_number(value):
            return f"{value:.5g}"
        return getattr(value, "__name__", None) or repr(value)

    words = (
        f"{name}={shown(value)}"
        for name, value in definition.parameters.items()
        if hasattr(value, "dtype") or value != defaults[name]
    )
    return f"{type(definition).__qualname__}({', '.join(words)})"


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The close ones as a question, and a blank; nothing where none is close."""
    import difflib

    close = difflib.get_close_matches(word, words, n=3)
    return f"did you mean {' or '.join(close)}? " if close else ""
