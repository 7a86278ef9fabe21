"""What can be checked, brought into one form: a name, a function a framework, a definition."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..backend.messages import describe
from ..backend.registry import BUILT_IN, available_backends
from ..surrogates.surrogate import Surrogate
from ..values.value import Value

__all__ = ["Subject", "by_framework", "load", "subjects"]


@dataclass(frozen=True)
class Subject:
    """One function under test."""

    name: str
    target: Any
    """A function of an array, for every framework, or a mapping from frameworks to functions."""
    like: Surrogate | None = None
    """The definition that it is compared with: itself, where it is a surrogate."""
    source: str | None = None
    """``module:object``, by which a worker process finds what cannot be pickled."""

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | ({"target": None} if self.source else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["source"]:
            state = state | {"target": from_source(state["source"])}
        vars(self).update(state)

    def function(self, framework: str) -> Callable[..., Any] | None:
        """What is called with arrays of that framework; None where there is nothing."""
        if isinstance(self.target, Mapping):
            return self.target.get(framework)
        function: Callable[..., Any] = self.target
        return function

    @property
    def is_surrogate(self) -> bool:
        return isinstance(self.target, Surrogate)

    @property
    def random(self) -> bool:
        """Whether it is called with a key."""
        return self.is_surrogate and self.target._is_random


def subjects(things: Any, like: Surrogate | None = None) -> tuple[Subject, ...]:
    """One thing or several, each a surrogate, a value function, a function, one per framework.

    Errors: TypeError for anything else.
    """
    if things is None:
        from ..surrogates import catalogue

        return tuple(_subject(cls(), like) for cls in catalogue().values())
    if callable(things) or isinstance(things, Subject | Mapping):
        things = [things]
    if not isinstance(things, Iterable) or isinstance(things, str):
        raise _wrong(things)
    found = tuple(_subject(thing, like) for thing in things)
    names: dict[str, int] = {}
    for i, subject in enumerate(found):
        # Rows are told apart by the name.
        names[subject.name] = names.get(subject.name, 0) + 1
        if names[subject.name] > 1:
            again = replace(subject, name=f"{subject.name} #{names[subject.name]}")
            found = (*found[:i], again, *found[i + 1 :])
    return found


def _subject(thing: Any, like: Surrogate | None) -> Subject:
    if isinstance(thing, Subject):
        return thing
    if isinstance(thing, type) and issubclass(thing, Surrogate | Value):
        thing = thing()
    if isinstance(thing, Value):
        from ..surrogates import StraightThrough

        straight = StraightThrough(forward=thing)
        return Subject(repr(thing), straight, like or straight)
    if isinstance(thing, Surrogate):
        return Subject(repr(thing), thing, like or thing)
    if isinstance(thing, Mapping):
        for name, function in thing.items():
            if not isinstance(name, str) or not callable(function):
                raise _wrong(thing)
        return Subject(_name(next(iter(thing.values()), None)), dict(thing), like)
    if callable(thing):
        return Subject(_name(thing), thing, like)
    raise _wrong(thing)


def _name(function: Any) -> str:
    return getattr(function, "__name__", None) or type(function).__name__


def _wrong(thing: Any) -> TypeError:
    came = f"{thing!r}" if isinstance(thing, str | Mapping) else describe(thing)
    return TypeError(
        f"fgi.testing: came {came}; expected a surrogate, a value function, a function of an "
        f"array, or one function per framework such as {{'torch': f, 'jax': g}}"
    )


def by_framework(source: str) -> bool:
    """Whether a source is that of one framework: ``torch=module:object``."""
    framework, equals, _ = source.partition("=")
    return bool(equals) and framework.isidentifier()


def from_source(source: str) -> Any:
    """``module:object`` or ``module:make(alpha=2)``; ``torch=...;jax=...`` is one per framework."""
    if not by_framework(source):
        return _object(source)
    found = {}
    known = tuple(dict.fromkeys((*BUILT_IN, *available_backends())))
    for part in source.split(";"):
        framework, _, rest = part.partition("=")
        if framework not in known:
            raise ValueError(
                f"{part!r}: unknown framework {framework!r}; expected one of {', '.join(known)}"
            )
        found[framework] = _object(rest)
    return found


def _object(source: str) -> Any:
    name, colon, expression = source.partition(":")
    if not colon:
        raise ValueError(f"{source!r}: expected module:object, such as mypackage.spikes:hat")
    try:
        node = ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise ValueError(f"{source!r}: expected module:object or module:make(alpha=2)") from None
    call = node if isinstance(node, ast.Call) else None
    found = importlib.import_module(name)
    for attribute in ast.unparse(call.func if call else node).split("."):
        if not hasattr(found, attribute):
            raise ValueError(f"{source!r}: {name} has no {attribute}")
        found = getattr(found, attribute)
    if call is None:
        return found
    positional = [ast.literal_eval(node) for node in call.args]
    named = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    return found(*positional, **named)  # type: ignore[operator]


def load(source: str, like: Surrogate | None = None) -> Subject:
    """The subject that a source names, and that worker processes load by the same name.

    Errors: ValueError where nothing is found there, TypeError where it is no function.
    """
    subject = _subject(from_source(source), like)
    return subject if subject.is_surrogate else replace(subject, name=source, source=source)
