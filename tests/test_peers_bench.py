"""benchmarks/peers.py at toy size: the numbers agree, every cell has its time, the page shows it.

``make test-peers``: the libraries are no part of the development environment.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fgi
from fgi.bench import page, report

ROOT = Path(__file__).parents[1]
LIBRARIES = {
    "spikingjelly": "spikingjelly.activation_based.neuron",
    "snntorch": "snntorch",
    "norse": "norse.torch.functional.lif",
    "sinabs": "sinabs.layers",
    "spyx": "spyx.nn",
}


@pytest.fixture(scope="module")
def peers() -> Any:
    spec = importlib.util.spec_from_file_location("bench_peers", ROOT / "benchmarks/peers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "bench_peers", module)
        spec.loader.exec_module(module)
        yield module


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("work", ["elementwise", "dense"])
@pytest.mark.filterwarnings("ignore")
@pytest.mark.peers
def test_the_library_and_fgi_agree(
    name: str, work: str, peers: Any, library: Callable[[str], Any]
) -> None:
    """And where they do not, it says so: with a threshold of a neuron that is another."""
    library(LIBRARIES[name])
    peer = peers.PEERS[name]
    with fgi.use_backend(peer.framework), fgi.namespace().double_precision():
        assert peers.disagreement(peer, peers.WORKS[work]) == ""
        wrong = peers.replace(
            peer, spike=fgi.surrogates.Triangle(), neuron=peer.neuron.replace(threshold=0.8)
        )
        assert "differ" in peers.disagreement(wrong, peers.WORKS[work])


@pytest.mark.parametrize("name", ["snntorch", "spyx"])
@pytest.mark.filterwarnings("ignore")
@pytest.mark.peers
def test_the_rows_and_the_page(
    name: str, peers: Any, library: Callable[[str], Any], tmp_path: Path
) -> None:
    library(LIBRARIES[name])
    out = tmp_path / "peers-cpu.json"
    asked = ["--toy", "--libraries", name, "--works", "elementwise,network", "--rounds", "3"]
    peers.main([*asked, "--seconds", "0", "--json", str(out)])
    content = report.load(out)
    assert set(content["peers"]) == {name}
    ways = 3 if peers.PEERS[name].framework == "torch" else 2
    assert len(content["rows"]) == 2 * ways
    for row in content["rows"]:
        assert "error" not in row
        assert "differs" not in row
        assert set(row["seconds"]) == {"inference", "both"}
        assert all(len(taken) == 3 and min(taken) > 0 for taken in row["seconds"].values())
        assert row["differ"] == 0 < row["values"]
    text = page.pages({"peers-cpu": content})["benchmarks.md"]
    assert f"| {name} {content['peers'][name]} |" in text
    json.dumps(content, allow_nan=False)


def test_a_library_that_is_slower_or_fails_is_a_row() -> None:
    """Without any library: what the page makes of rows."""

    def row(mechanism: str, mode: str, **more: Any) -> dict[str, Any]:
        return {
            "group": "network 28 it", "workload": "network", "size": 28, "unit": "T",
            "dtype": "float32", "surrogate": "", "framework": "torch", "execution": mode,
            "mechanism": mechanism, "seconds": {}, "differ": 0, "values": 60,
        } | more  # fmt: skip

    def seconds(both: list[float]) -> dict[str, Any]:
        return {"seconds": {"both": both, "inference": [0.001, 0.001, 0.001]}}

    content = {
        "machine": "m", "date": "d", "command": "c", "frameworks": {}, "python": "3", "commit": "x",
        "load average before": 0.1, "device": "cpu", "peers": {"it": "1.0", "broken": "2.0"},
        "covers": {"network": "two layers"},
        "rows": [
            row("it", "loop", **seconds([0.006, 0.004, 0.008])),
            row("fgi", "eager", **seconds([0.009, 0.009, 0.009])),
            row("fgi", "compiled step", **seconds([0.002, 0.002, 0.001])),
            row("broken", "loop", error="TypeError: no"),
        ],
    }  # fmt: skip
    found = page.pages({"peers-cpu": content})
    assert set(found) == {"benchmarks.md", "which_mechanism.md"}
    text = found["benchmarks.md"]
    assert "| T = 28 | torch | it 1.0 | loop | 6 | 3.00 | 1 | 1.00 |  | 0 of 60 |" in text
    assert "| T = 28 | torch | broken 2.0 | loop | failed | TypeError: no |" in text
