"""``fgi.get``: a surrogate from a name, a line of text or a configuration.

The command line reads its arguments by it too: what is written here works there.
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Mapping
from typing import Any

from .. import surrogates, values
from ..backend.messages import describe
from ..parameters import SHOWN, Definition, did_you_mean
from ..values.value import Value
from .surrogate import Surrogate

__all__ = ["get"]

TARGET = "_target_"
"""What Hydra calls the key that says which class."""


def get(
    name: str | Mapping[str, Any] | Surrogate | type[Surrogate], **parameters: Any
) -> Surrogate:
    """The surrogate that a name, a text or a configuration stands for.

        get("atan", alpha=3) == get("ATan(alpha=3)") == get({"name": "atan", "alpha": 3})

    ``name`` is one of

    - a name of the catalogue or a preset, with parameters or without: ``"atan"``,
      ``"atan:alpha=3"``, ``"ATan(alpha=3)"``, ``"spikingjelly.ATan(alpha=3)"``, and for a class of
      your own, imported before, ``"mymodule:hat(width=0.5)"``;
    - a mapping with the name and the parameters, as ``to_config`` writes it and as YAML, JSON or
      Hydra's files have it (``_target_: fgi.surrogates.ATan``), or the text of one;
    - a surrogate, which comes back, or a class of surrogates.

    ``parameters`` go before those that ``name`` has. Nothing that is read is executed.

    Errors: ValueError for a name that is nowhere, naming the close ones, for parameters that are
    not there or missing, for numbers out of range, for the configuration of a newer fgi; TypeError
    for parameters, or a ``name``, of another kind.
    """
    if isinstance(name, type) and issubclass(name, Surrogate):
        return _checked(name, _call(name.__name__, name, [], parameters))
    if isinstance(name, Surrogate):
        if not parameters:
            return name
        whole = name.parameters | parameters
        return _checked(name, _call(type(name).__name__, type(name), [], whole))
    if isinstance(name, Mapping):
        return _checked(name, _from_config(name, parameters))
    if not isinstance(name, str):
        came = repr(name) if isinstance(name, SHOWN) else describe(name)
        raise TypeError(
            f"fgi.get: came {came}; expected a name such as 'atan', a configuration "
            f"such as {{'name': 'atan', 'alpha': 2.0}}, or a surrogate"
        )
    config = _config(name)
    made = _from_call(name, parameters) if config is None else _from_config(config, parameters)
    return _checked(name, made)


def _checked(source: Any, made: Any) -> Surrogate:
    if isinstance(made, Surrogate):
        return made
    raise ValueError(
        f"{source} is a value function; expected a surrogate, whose forward it is: "
        f"StraightThrough(forward={made!r})"
    )


def _known(definition: type[Definition], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, those read that are definitions themselves."""
    return {
        name: _read(value, definition._nested[name]) if name in definition._nested else value
        for name, value in parameters.items()
    }


def _read(value: Any, kind: type[Definition]) -> Any:
    inside = not issubclass(kind, Surrogate)
    if isinstance(value, Mapping):
        return _from_config(value, {}, inside)
    if not isinstance(value, str):
        return value
    found = getattr(values, value, None)
    return found if isinstance(found, Value) else _from_call(value, {}, inside)


def _config(text: str) -> Any:
    """What the text of a configuration holds; None for any other text."""
    if text.lstrip().startswith("{"):
        import json

        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{text} is not JSON: {error}") from error
    if text.lstrip().startswith(("name:", f"{TARGET}:")):
        try:
            import yaml
        except ModuleNotFoundError as error:
            raise ImportError(
                "fgi.get: YAML needs yaml, which is not installed; write pip install pyyaml, or "
                "pass JSON"
            ) from error
        try:
            config = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{text} is not YAML: {error}") from error
        if isinstance(config, Mapping):
            return config
    return None


def _makers(inside: bool) -> dict[str, Any]:
    """What can be called by name: presets, and classes by both their names.

    A value function may share its name with a surrogate, which is then meant, except inside one.
    """
    catalogue = surrogates.catalogue().values()
    own = (d for d in Surrogate._by_name.values() if ":" in d.name)
    kinds: list[list[type[Definition]]] = [[*Value._by_name.values()], [*own, *catalogue]]
    found: dict[str, Any] = dict(surrogates.presets())
    for kind in reversed(kinds) if inside else kinds:
        for definition in kind:
            found[definition.name] = definition
            if ":" not in definition.name:
                found[definition.__name__] = definition
    return found


def _maker(name: str, makers: Mapping[str, Any]) -> Any:
    if name not in makers:
        raise ValueError(
            f"{name!r} is in no catalogue; {did_you_mean(name, makers)}`fgi list` shows all, and "
            f"one of your own is 'mymodule:name', imported before"
        )
    return makers[name]


def _from_config(
    config: Mapping[str, Any], parameters: Mapping[str, Any], inside: bool = False
) -> Any:
    parts = {**config, **parameters}
    target = parts.pop(TARGET, "fgi.get")
    if target != "fgi.get":
        if "name" in parts or not isinstance(target, str) or not target.startswith("fgi."):
            raise ValueError(
                f"fgi.get: {TARGET} is {target!r}; expected a class of fgi such as "
                f"fgi.surrogates.ATan, and no name beside it, or fgi.get, and a name"
            )
        parts["name"] = target.rpartition(".")[2]
    if not isinstance(parts.get("name"), str):
        return Surrogate.from_config(parts)  # which says what is missing
    name = parts["name"]
    maker = _maker(name, _makers(inside))
    if isinstance(maker, type) and issubclass(maker, Definition):
        return maker.from_config(_known(maker, parts) | {"name": maker.name})
    return _call(name, maker, [], {k: v for k, v in parts.items() if k != "name"})


def _from_call(text: str, parameters: Mapping[str, Any], inside: bool = False) -> Any:
    makers = _makers(inside)
    if text in makers:
        return _call(text, makers[text], [], parameters)
    # A library's name may itself have parentheses, so the longest name that is known counts.
    ends = [i for i, letter in enumerate(text) if letter in "(:" and text[:i] in makers]
    if not ends:
        head = text.partition("(")[0]
        before, colon, after = head.rpartition(":")
        return _maker(before if colon and not after.isidentifier() else head, makers)
    name, arguments = text[: ends[-1]], text[ends[-1] :]
    source = f"f({arguments[1:]})" if arguments[0] == ":" else f"f{arguments}"
    try:
        call = ast.parse(source, mode="eval").body
    except SyntaxError:
        call = None
    if not isinstance(call, ast.Call) or ast.unparse(call.func) != "f":
        raise ValueError(f"{text}: expected parameters as in {name}(alpha=2) or {name}:alpha=2")
    named = {keyword.arg or "**": _literal(keyword.value) for keyword in call.keywords}
    positional = [_literal(node) for node in call.args]
    return _call(name, makers[name], positional, named | {**parameters})


def _call(name: str, make: Any, positional: list[Any], named: Mapping[str, Any]) -> Any:
    signature = inspect.signature(make)
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        expected = ", ".join(
            p.name if p.default is p.empty else f"{p.name}={p.default!r}"
            for p in signature.parameters.values()
        )
        raise ValueError(f"{name}: {error}; expected {name}({expected})") from None
    if isinstance(make, type) and issubclass(make, Definition):
        named = _known(make, named)
    try:
        return make(*positional, **named)
    except ArithmeticError as error:  # a preset divides by what the library divides by
        raise ValueError(f"{name}: {error}; expected other parameters") from error


def _literal(node: ast.expr) -> Any:
    """A number, a word, a list; or a definition with its parameters, such as Sign(at_zero=1)."""
    if isinstance(node, ast.Call):
        return _from_call(ast.unparse(node), {}, inside=True)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_literal(node.operand)
    if isinstance(node, ast.Name) and node.id == "inf":
        return math.inf
    if isinstance(node, ast.Name) and isinstance(getattr(values, node.id, None), Value):
        return getattr(values, node.id)
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(
            f"{ast.unparse(node)} is no parameter; expected a number, a word in quotes, or a value "
            f"function such as Sign(at_zero=1)"
        ) from None
