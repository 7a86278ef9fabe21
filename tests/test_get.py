"""fgi.get: one parser for names, text and configurations; and what it says to bad ones."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import yaml

import fgi
from fgi.surrogates import ATan, Gaussian, Sigmoid, StraightThrough
from support import catalogue

AT_ZERO = fgi.Heaviside(at_zero=1.0)


@fgi.surrogate
def steep(x: Any, width: Any) -> Any:
    return fgi.namespace(x).zeros_like(x) + width


OWN = f"{__name__}:steep"

WRITTEN: list[tuple[Any, dict[str, Any], fgi.Surrogate]] = [
    ("atan", {}, ATan()),
    ("atan", {"alpha": 3.0, "scale": 0.5}, ATan(3.0, 0.5)),
    ("atan", {"forward": fgi.round}, ATan(forward=fgi.round)),
    ("atan", {"forward": "sign"}, ATan(forward=fgi.Sign())),
    ("atan", {"forward": "binary"}, ATan(forward=fgi.values.binary)),
    ("ATan(alpha=3)", {}, ATan(3.0)),
    ("ATan(alpha=3)", {"alpha": 4, "order": 2}, ATan(4.0, order=2)),
    ("atan:alpha=3", {"scale": 2}, ATan(3.0, 2.0)),
    ("spikingjelly.ATan", {"alpha": 3.0}, ATan(3.0, forward=AT_ZERO)),
    ("spikingjelly.ATan(alpha=3)", {}, ATan(3.0, forward=AT_ZERO)),
    (f"{OWN}(width=0.5)", {}, steep(width=0.5)),
    (OWN, {"width": 0.5}, steep(width=0.5)),
    ('{"name": "atan", "alpha": 3}', {"scale": 2}, ATan(3.0, 2.0)),
    ("name: atan\nalpha: 3\nforward: {name: sign, at_zero: 1}", {},
     ATan(3.0, forward=fgi.Sign(at_zero=1.0))),
    ("_target_: fgi.surrogates.ATan\nalpha: 3", {}, ATan(3.0)),
    ({"name": "atan", "alpha": 2.5}, {}, ATan(2.5)),
    ({"name": "ATan", "alpha": 2.5}, {"alpha": 3.5}, ATan(3.5)),
    ({"name": "atan", "schema": 1}, {}, ATan()),
    ({"name": "spikingjelly.ATan", "alpha": 3}, {}, ATan(3.0, forward=AT_ZERO)),
    ({"name": OWN, "width": 0.5}, {}, steep(width=0.5)),
    ({"name": "gaussian", "forward": "Heaviside(at_zero=1)"}, {}, Gaussian(forward=AT_ZERO)),
    ({"_target_": "fgi.surrogates.StraightThrough",
      "forward": {"_target_": "fgi.values.Round", "step": 0.25}}, {},
     StraightThrough(forward=fgi.values.Round(step=0.25))),
    ({"_target_": "fgi.get", "name": "atan", "alpha": 3}, {}, ATan(3.0)),
    (MappingProxyType({"name": "atan", "alpha": 3}), {}, ATan(3.0)),
    (ATan, {}, ATan()),
    (ATan, {"alpha": 3}, ATan(3.0)),
    (ATan(3.0, order=2), {"scale": 2}, ATan(3.0, 2.0, order=2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parameters", "expected"), WRITTEN)
def test_ways_to_write_a_surrogate(
    name: Any, parameters: dict[str, Any], expected: fgi.Surrogate
) -> None:
    before = dict(name) if isinstance(name, Mapping) else name
    assert fgi.get(name, **parameters) == expected
    assert (dict(name) if isinstance(name, Mapping) else name) == before


def test_a_keyword_is_what_hydra_passes() -> None:
    assert fgi.get(**{"name": "atan", "alpha": 3.0}) == ATan(3.0)


def test_a_surrogate_comes_back_itself() -> None:
    spike = ATan(3.0, forward=lambda x: x)
    assert fgi.get(spike) is spike


@pytest.mark.parametrize("spike", catalogue.ALL, ids=lambda spike: spike.name)
def test_every_configuration_comes_back_equal(spike: fgi.Surrogate) -> None:
    config = spike.to_config()
    for written in (config, json.dumps(config), yaml.safe_dump(config, sort_keys=False)):
        assert fgi.get(written) == fgi.from_config(config) == spike
    smooth = Sigmoid(alpha=3.0, order=2).smooth()
    assert fgi.get(smooth.to_config()) == smooth


@pytest.mark.parametrize("name", fgi.surrogates.presets())
def test_presets_by_name_and_by_mapping(name: str) -> None:
    signature = inspect.signature(fgi.surrogates.presets()[name])
    parameters = {p.name: 1 for p in signature.parameters.values() if p.default is p.empty}
    expected = fgi.surrogates.preset(name, **parameters)
    x = np.array([-1.5, 0.0, 0.3])
    for got in (fgi.get(name, **parameters), fgi.get({"name": name, **parameters})):
        # Some hold a function, which is equal to itself alone.
        assert type(got) is type(expected)
        if not got._is_random:
            np.testing.assert_array_equal(got(x), expected(x))
            np.testing.assert_array_equal(got.derivative(x), expected.derivative(x))


BAD: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    ("atam", {}, ValueError, r"'atam' is in no catalogue; did you mean atan\? `fgi list` shows"),
    ("atam:alpha=3", {}, ValueError, r"'atam' is in no catalogue; did you mean atan\?"),
    ("atam(alpha=3)", {}, ValueError, r"'atam' is in no catalogue; did you mean atan\?"),
    ({"name": "gausian"}, {}, ValueError, r"did you mean gaussian"),
    ("spikingjelly.Atan", {}, ValueError, r"did you mean spikingjelly\.ATan"),
    ("nowhere:hat", {}, ValueError, r"'nowhere:hat' is in no catalogue; `fgi list` shows all, an"),
    ("", {}, ValueError, r"'' is in no catalogue"),
    ("atan", {"alhpa": 3}, ValueError, r"unexpected keyword argument 'alhpa'; expected atan\(alp"),
    ({"name": "atan", "alhpa": 3}, {}, ValueError, r"atan has no parameter alhpa; expected alpha"),
    ({"name": "spikingjelly.ATan", "beta": 3}, {}, ValueError, r"unexpected keyword argument 'b"),
    (ATan(), {"beta": 3}, ValueError, r"unexpected keyword argument 'beta'; expected ATan\(alph"),
    ({"name": OWN}, {}, ValueError, r"steep is without width, which has no default; expected wi"),
    (OWN, {}, ValueError, r"missing a required argument: 'width'; expected .*steep\(width"),
    ({"alpha": 2.0}, {}, TypeError, r"config is \{'alpha': 2\.0\}; expected a mapping such as"),
    ({"name": 3}, {}, TypeError, r"config is \{'name': 3\}; expected a mapping"),
    ({"name": "atan", "alpha": "3"}, {}, TypeError, r"ATan: alpha is '3'; expected a number > 0"),
    ({"name": "atan", "alpha": None}, {}, TypeError, r"ATan: alpha is None; expected a number > 0"),
    ({"name": "atan", "alpha": [1]}, {}, TypeError, r"ATan: alpha is a list; expected a number"),
    ({"name": "atan", "alpha": True}, {}, TypeError, r"ATan: alpha is True; expected a number"),
    ({"name": "atan", "order": 1.5}, {}, TypeError, r"ATan: order is 1\.5; expected an integer"),
    ({"name": "atan", "alpha": -1}, {}, ValueError, r"ATan: alpha is -1; expected a number > 0"),
    ({"name": "atan", "schema": 2}, {}, ValueError,
     r"schema is 2; expected 1 or less; a newer fgi wrote it: update fgi"),
    ({"name": "atan", "schema": "new"}, {}, ValueError, r"schema is 'new'; expected 1 or less"),
    ({"name": "atan", "schema": True}, {}, ValueError, r"schema is True; expected 1 or less"),
    ({"name": "atan", "forward": "sgn"}, {}, ValueError, r"'sgn' is in no catalogue; did you mea"),
    ({"name": "atan", "forward": {"name": "sgn"}}, {}, ValueError, r"'sgn' is in no catalogue"),
    ({"name": "atan", "forward": {"name": "sign", "at": 1}}, {}, ValueError, r"sign has no param"),
    ("Sign", {}, ValueError, r"Sign is a value function; expected a surrogate, whose forward it i"),
    ({"name": "sign"}, {}, ValueError, r"is a value function; expected a surrogate, whose forward"),
    ({"_target_": "os.system", "command": "true"}, {}, ValueError, r"_target_ is 'os\.system'; ex"),
    ({"_target_": "fgi.surrogates.ATan", "name": "atan"}, {}, ValueError, r"and no name beside it"),
    ("{", {}, ValueError, r"\{ is not JSON: "),
    ("name: [", {}, ValueError, r"name: \[ is not YAML: "),
    ("name:atan", {}, ValueError, r"'name:atan' is in no catalogue"),
    ("atan(alpha=open('x'))", {}, ValueError, r"'open' is in no catalogue"),
    (3, {}, TypeError, r"fgi\.get: came 3; expected a name such as 'atan', a configuration suc"),
    (None, {}, TypeError, r"fgi\.get: came None; expected a name"),
    (["atan"], {}, TypeError, r"fgi\.get: came a list; expected a name"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parameters", "error", "said"), BAD)
def test_what_is_wrong_is_said(
    name: Any, parameters: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        fgi.get(name, **parameters)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("config", "error", "said"),
    [
        ({"name": "atan", "schema": 2}, ValueError, r"a newer fgi wrote it: update fgi"),
        ({"name": OWN}, ValueError, r"is without width, which has no default"),
        ({"name": "atam"}, ValueError, r"unknown surrogate 'atam'; did you mean atan\?"),
    ],
)
def test_from_config_says_the_same(config: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        fgi.from_config(config)
    assert fgi.from_config({"name": "atan", "schema": 1}) == ATan()


def test_without_yaml_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r"YAML needs yaml, which is not installed; write pip"):
        fgi.get("name: atan")
    assert fgi.get("atan") == ATan()


def test_a_mapping_of_another_library() -> None:
    omegaconf = pytest.importorskip("omegaconf", reason="omegaconf is not installed")
    config = omegaconf.OmegaConf.create({"name": "atan", "forward": {"name": "sign"}})
    assert fgi.get(config) == ATan(forward=fgi.Sign())


def test_nothing_is_imported_before_it_is_needed() -> None:
    """Beside what Python itself loads for a bare ``import dataclasses, inspect``."""
    roots = [str(Path(fgi.__file__).parents[1]), str(Path(fgi.__file__).parents[2] / "backends")]
    code = f"import sys; sys.path[:0] = {roots!r}; import fgi; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not {"json", "difflib", "yaml", "fgi.surrogates.catalogue.smooth", "fgi.torch"} & loaded
