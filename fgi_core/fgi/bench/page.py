"""Pages of results: summaries, details of each, and which mechanism to use."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from .measure import ESTIMATE, FLOOR
from .mechanisms import BASELINE, BY_HAND, VALUE_ALONE
from .report import SUMMARY, Row, about, groups, native, quartiles, ratio, summary
from .workloads import WORKLOADS

__all__ = ["PAPER", "lengths", "markdown", "pages", "speed_up"]

Results = Mapping[str, Mapping[str, Any]]

PAPER = {
    "training": {28: "7.0 x", 784: "4.3 x"},
    "warm-up": {28: "15 s", 784: "649 s"},
}
"""Of Otte 2024 (arXiv:2406.00177), by number of steps: what torch.compile does for the network with
fgi, over eager PyTorch, and how long its first three iterations take."""

REFERENCE = ("torch", "eager", "autograd_function")
"""Over which a speed-up is stated: how PyTorch trains where nobody has done anything about it."""

COMPILED = ("compile", "compiled step", "jit", "XLA")

PHASES = ("inference", "forward", "call", "backward", "both", ESTIMATE)


def pages(results: Results, pictures: Iterable[str] = ()) -> dict[str, str]:
    """Every page by its path, ``results`` by the name of their file.

    ``pictures`` are the paths of those that there are.
    """
    found = {"benchmarks.md": _overview(results, list(pictures))}
    alone = {name: content for name, content in results.items() if "peers" not in content}
    for name, content in alone.items():
        found[f"benchmarks/{name}.md"] = _details(name, content)
    found["which_mechanism.md"] = _which(alone)
    return found


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    made = [f"| {' | '.join(headings)} |", f"|{' --- |' * len(headings)}"]
    made += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(made) + "\n"


def _overview(results: Results, pictures: Sequence[str]) -> str:
    parts = [INTRODUCTION]
    if not any(content["device"] != "cpu" for content in results.values()):
        parts.append(
            "**No GPU results yet**: no machine with a GPU could be had. `make bench` with "
            "`--device cuda` makes them.\n"
        )
    for name, content in results.items():
        parts.append(f"## {name}\n\n{about(content)}\n")
        if "peers" not in content:
            parts.append(f"Every mechanism and phase: [{name}](benchmarks/{name}.md).\n")
        parts += [
            f"![{_caption(path)}]({path})\n"
            for path in pictures
            if path.startswith(f"benchmarks/{name}-")
        ]
        for workload, rows in _by_workload(content["rows"]):
            peers = content.get("peers")
            covers = content["covers"][workload] if peers else WORKLOADS[workload].covers
            parts.append(f"### {workload}\n\n{covers[0].upper()}{covers[1:]}.\n")
            if peers:
                parts.append(_peers(rows, peers))
                continue
            parts.append(TABLES.get(workload, _ratios)(rows))
            if workload == "alif":
                parts.append(_as_in_the_paper(rows))
    return "\n".join(parts)


def _caption(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".svg").replace("-", " ")


def _by_workload(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    for workload in dict.fromkeys(row["workload"] for row in rows):
        yield workload, [row for row in rows if row["workload"] == workload]


def _ratios(rows: Sequence[Row]) -> str:
    return markdown(SUMMARY[1:], (cells[1:] for cells in summary(rows)))


def _calls(rows: Sequence[Row]) -> str:
    """What is beyond the operations themselves, in microseconds."""

    def lines() -> Iterator[Sequence[str]]:
        for group in groups(rows):
            by_name = {row["mechanism"]: row for row in group}
            ours, theirs = by_name.get(BASELINE), by_name.get(BY_HAND)
            if ours is None or theirs is None or "error" in ours or "error" in theirs:
                yield (*_known(group[0])[:3], "failed", group[0].get("error", "")[:60])
                continue
            for phase in ours["seconds"]:
                if phase not in theirs["seconds"] or phase == "inference":
                    continue
                pairs = zip(ours["seconds"][phase], theirs["seconds"][phase], strict=False)
                beyond = median(a - b for a, b in pairs)
                yield (
                    *_known(ours)[:3],
                    _label(phase),
                    *(f"{1e6 * median(row['seconds'][phase]):.1f}" for row in (ours, theirs)),
                    f"{1e6 * beyond:.1f}",
                )

    headings = ("framework", "execution", "surrogate", "phase", "fgi, us", "by hand, us")
    return markdown((*headings, "fgi - by hand, us"), lines())


def _estimates(rows: Sequence[Row]) -> str:
    """Times over that of the value, as Baydin et al. 2022 have them."""

    def lines() -> Iterator[Sequence[str]]:
        for group in groups(rows):
            by_name = {row["mechanism"]: row for row in group}
            value, theirs = by_name.get(VALUE_ALONE), by_name.get(native(by_name))
            for name, row in by_name.items():
                if name in (FLOOR, VALUE_ALONE):
                    continue
                yield (
                    *_known(row)[:2],
                    f"N={row['size']}",
                    name,
                    _ms(value, "inference"),
                    _times(row, value, ESTIMATE) or row.get("lacks", {}).get(ESTIMATE, "")[:48],
                    _times(row, value, "both") or row.get("error", "")[:48],
                    _number(ratio(row, theirs, "both")),
                    f"{row['differ']}" if "differ" in row else "",
                )

    headings = ("framework", "execution", "size", "mechanism", "value, ms", "R_f", "R_b")
    return (
        markdown((*headings, "training / native", "y != f"), lines())
        + "\nR_f is the time of value and forward gradient along one direction over that of the"
        "\nvalue alone, R_b that of value and gradient by backpropagation. Baydin et al. 2022"
        "\n(arXiv:2202.08587) have 2.46 and 4.17 for their perceptron on MNIST.\n"
    )


def _times(over: Row | None, value: Row | None, phase: str) -> str:
    if over is None or value is None:
        return ""
    pairs = zip(over["seconds"].get(phase, ()), value["seconds"].get("inference", ()), strict=False)
    found = [a / b for a, b in pairs]
    return f"{median(found):.2f}" if found else ""


TABLES = {"call": _calls, "forward-gradient": _estimates}


def lengths(rows: Sequence[Row]) -> list[int]:
    return sorted({row["size"] for row in rows})


def speed_up(rows: Sequence[Row], row: Row, phase: str) -> float | None:
    """Over eager PyTorch with its own mechanism at the same length, by medians."""
    for other in rows:
        place = other["framework"], other["execution"], other["mechanism"]
        if place == REFERENCE and other["size"] == row["size"]:
            theirs, ours = (r["seconds"].get(phase) for r in (other, row))
            if theirs and ours:
                return float(median(theirs) / median(ours))
    return None


def _as_in_the_paper(rows: Sequence[Row]) -> str:
    """Training, inference and warm-up by the number of steps."""
    steps = lengths(rows)
    kinds = {
        (row["framework"], row["execution"], row["mechanism"]): None
        for row in rows
        if row["mechanism"] not in (FLOOR, VALUE_ALONE, "")
    }

    def cell(kind: tuple[str, str, str], size: int, phase: str) -> str:
        for row in rows:
            place = row["framework"], row["execution"], row["mechanism"]
            if place != kind or row["size"] != size:
                continue
            if "error" in row:
                return "failed"
            if phase == "warm-up":
                return f"{row['warm-up']:.1f} s" if "warm-up" in row else ""
            faster = speed_up(rows, row, phase)
            return _ms(row, phase) + (f" ({faster:.1f} x)" if faster else "")
        return ""

    def table(phase: str, theirs: Mapping[int, str]) -> str:
        lines = [[*kind, *(cell(kind, size, phase) for size in steps)] for kind in kinds]
        if any(size in theirs for size in steps):
            published = [theirs.get(size, "") for size in steps]
            lines.append(["torch", "compile", "fgi, in the paper", *published])
        headings = ["framework", "execution", "mechanism", *(f"T = {size}" for size in steps)]
        return markdown(headings, lines)

    return "\n".join(
        (
            "Training, a batch forward and backward: ms, and in brackets how many times as fast as"
            " `torch.autograd.Function` in eager PyTorch. Under it what the paper reports of its"
            " machine (Otte 2024, arXiv:2406.00177).\n",
            table("both", PAPER["training"]),
            "Inference, ms; the paper reports up to more than 16 x.\n",
            table("inference", {}),
            "Warm-up: the first three iterations. The paper's compiler lays out every step, and "
            "with a custom backward it fails beyond 196 of them.\n",
            table("warm-up", PAPER["warm-up"]),
        )
    )


def _peers(rows: Sequence[Row], versions: Mapping[str, str]) -> str:
    """Each library beside fgi: how it ran, and how much longer than fgi."""

    def lines() -> Iterator[Sequence[str]]:
        for group in groups(rows):
            for row in group:
                ours = _fgi_of(group)
                library = f"{row['mechanism']} {versions.get(row['mechanism'], '')}".strip()
                known = (_size(row), row["framework"], library, row["execution"])
                if "error" in row:
                    yield (*known, "failed", row["error"][:60], "", "", "", "")
                    continue
                yield (
                    *known,
                    _ms(row, "both"), _number(ratio(row, ours, "both")),
                    _ms(row, "inference"), _number(ratio(row, ours, "inference")),
                    _bytes(row),
                    row.get("differs", f"{row['differ']} of {row['values']}"),
                )  # fmt: skip

    headings = ("size", "framework", "library", "mode", "training, ms", "this / fgi")
    more = ("inference, ms", "this / fgi", "peak memory", "spikes that differ")
    return (
        markdown((*headings, *more), lines())
        + "\nEach library in the mode that its documentation has for a CPU, and under it fgi with"
        "\nthe same neuron, in that library's convention; above 1 the library takes longer than the"
        "\nfaster of fgi's ways. In float64 spikes and gradients of the two are the same, or the"
        "\nlast column says what is not; it counts the spikes that are others in float32.\n"
    )


def _fgi_of(group: Sequence[Row]) -> Row | None:
    """fgi in the fastest of its ways."""
    found = [row for row in group if row["mechanism"] == BASELINE and "both" in row["seconds"]]
    return min(found, key=lambda row: median(row["seconds"]["both"]), default=None)


def _details(name: str, content: Mapping[str, Any]) -> str:
    parts = [
        f"# {name}: every mechanism and phase\n\nMade by `fgi bench --report`; do not edit. "
        f"[The summary](../benchmarks.md) says what is what. Milliseconds, quartiles in brackets; "
        f"n is the number of turns, memory that of forward and backward beyond their arguments.\n",
        f"{about(content)}\n",
    ]
    for workload, rows in _by_workload(content["rows"]):
        phases = [p for p in PHASES if any(p in row["seconds"] for row in rows)]
        every = list(_lines(rows, phases))
        # What is nowhere is no column: TensorFlow's CPU counts no memory, eager code has no graph.
        headings = [h for h in every[0] if any(line[h] for line in every)]
        table = markdown(headings, ([line[h] for h in headings] for line in every))
        parts.append(f"## {workload}\n\n{table}")
    return "\n".join(parts)


def _lines(rows: Sequence[Row], phases: Sequence[str]) -> Iterator[dict[str, str]]:
    """A line for each mechanism, ratios within the turns of one process."""
    for group in groups(rows):
        by_name = {row["mechanism"]: row for row in group}
        for row in group:
            framework, execution, surrogate = _known(row)
            lacks = row.get("lacks", {})
            counts = [len(seconds) for seconds in row["seconds"].values()]
            yield (
                {
                    "framework": framework,
                    "execution": execution,
                    "surrogate": surrogate,
                    "size": _size(row),
                    "mechanism": row["mechanism"] or "the process",
                }
                | {_label(p): _spread(row, p) or lacks.get(p, "")[:60] for p in phases}
                | {
                    "n": f"{min(counts)}" if counts else "",
                    "warm-up": _warm_up(row),
                    "nodes": f"{row['nodes']}" if "nodes" in row else "",
                    "graph breaks": f"{row['graph breaks']}" if "graph breaks" in row else "",
                    "peak memory": _bytes(row),
                    "training: fgi / this": _number(ratio(by_name.get(BASELINE), row, "both")),
                    "training / limit": _number(ratio(row, by_name.get(FLOOR), "both")),
                    "error": row.get("error", "")[:80],
                }
            )


def _known(row: Row) -> tuple[str, str, str]:
    surrogate = json.loads(row["surrogate"])["name"] if row.get("surrogate") else ""
    return row["framework"], row["execution"], surrogate


def _size(row: Row) -> str:
    dtype = "" if row["dtype"] == "float32" else f", {row['dtype']}"
    unit = row.get("unit") or WORKLOADS[row["workload"]].unit
    return f"{unit} = {row['size']}{dtype}"


def _label(phase: str) -> str:
    return {"both": "training"}.get(phase, phase)


def _ms(row: Row | None, phase: str) -> str:
    if row is None or not row["seconds"].get(phase):
        return ""
    return f"{1e3 * median(row['seconds'][phase]):.3g}"


def _spread(row: Row, phase: str) -> str:
    if not row["seconds"].get(phase):
        return ""
    low, middle, high = (1e3 * value for value in quartiles(row["seconds"][phase]))
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def _warm_up(row: Row) -> str:
    # These come first, and load the compiler.
    if "warm-up" not in row or row["mechanism"] in (FLOOR, VALUE_ALONE):
        return ""
    return f"{row['warm-up']:.2f} s"


def _bytes(row: Row) -> str:
    found = row.get("peak memory")
    return "" if found is None else f"{found / 1e6:.3g} MB"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _which(results: Results) -> str:
    """A page of advice whose numbers are those of the results."""
    rows = [row for content in results.values() for row in content["rows"]]
    machines = dict.fromkeys(content["machine"] for content in results.values())
    lines = []
    for execution in dict.fromkeys((row["framework"], row["execution"]) for row in rows):
        ours = [row for row in rows if (row["framework"], row["execution"]) == execution]
        alone = _range(ours, lambda row: row["workload"] == "elementwise" and row["size"] >= 2**20)
        inside = _range(ours, _is_network)
        small = _range(ours, lambda row: row["workload"] == "elementwise" and row["size"] < 2**20)
        inference = _range(ours, lambda row: row["workload"] not in ("call",), VALUE_ALONE)
        if alone or inside:
            lines.append((*execution, alone, small, inside, inference))
    headings = (
        "framework", "execution", "a surrogate of a million numbers or more", "of fewer",
        "inside a network", "inference, over f alone",
    )  # fmt: skip
    kept = [i for i in range(len(headings)) if i < 2 or any(line[i] for line in lines)]
    table = markdown([headings[i] for i in kept], ([line[i] for i in kept] for line in lines))
    lacking = {
        (row["framework"], row["mechanism"]): text
        for row in rows
        for thing, text in row.get("lacks", {}).items()
        if thing == ESTIMATE and "_" in row["mechanism"] and row["execution"] != "TorchScript"
    }
    without = "\n".join(
        f"- {framework}'s `{mechanism}`: {text.partition(': ')[2]}"
        for (framework, mechanism), text in lacking.items()
    )
    return WHICH.format(
        table=table,
        inside=_range([row for row in rows if row["execution"] in COMPILED], _is_network),
        machines="; ".join(machines),
        names=", ".join(f"[{name}](benchmarks/{name}.md)" for name in results),
        wrong=sum(row.get("differ", 0) for row in rows),
        compared=sum(row.get("values", 0) for row in rows),
        lacking=without or "- none of those timed here",
    )


def _is_network(row: Row) -> bool:
    return row["workload"] not in ("call", "elementwise")


def _range(rows: Sequence[Row], wanted: Any, against: str = "") -> str:
    """From the least to the most of what training takes with fgi over the fastest native way."""
    found = []
    for group in groups([row for row in rows if wanted(row)]):
        by_name = {row["mechanism"]: row for row in group}
        theirs = by_name.get(against or native(by_name))
        value = ratio(by_name.get(BASELINE), theirs, "inference" if against else "both")
        if value is not None:
            found.append(value)
    if not found:
        return ""
    low, high = f"{min(found):.2f}", f"{max(found):.2f}"
    return low if low == high else f"{low} to {high}"


INTRODUCTION = """# Timings

Made by `fgi bench --report` from the committed results; do not edit.

*fgi / native* is the time of forward and backward with fgi over that with the fastest of the
framework's own custom-gradient mechanisms; below 1 fgi is faster. Each mechanism has the formulas
of the surrogate, and 0 for the gradient where x is not finite, as fgi has it. *fgi / by hand* has
a native rule as one writes it, which does not look whether x is finite. *Inference* is fgi where no
derivative can be asked for, over f alone. *Limit* is, element by element, the time to read and
write the arrays once at the speed of a negation in the same process, and for networks that of
their matrix products alone; the ratio to it is below 1 where a negation, too, mostly waits for
memory to be handed out. Mechanisms run in turns in one process, in another order each round; every
ratio is the median over the ratios within a round. `y != f` counts the elements whose value is not
f(x). What all of it means for a choice:
[Which mechanism should I use?](which_mechanism.md)
"""

WHICH = """# Which mechanism should I use?

Made by `fgi bench --report` from the committed results ({names}); do not edit.

Use `spike(x)`, unless a number here says otherwise: it is one definition for every framework and
transform. Compiled and inside a network, training with it takes {inside} times as long as with
the fastest of the framework's own mechanisms. The table has the same for each way to run; below 1
fgi is faster. Of {compared} values compared, {wrong} were not f(x). Machine: {machines}.

{table}
- **You compile, or train a network**: `spike(x)`.
- **You do not compile, arrays are large, and little else happens**: look at the first column of
  your row, and time your own case with `fgi bench elementwise --surrogates '...'`.
  `spike.native()` is the same function by the framework's own mechanism, in one word.
- **You know that x is finite**: a native rule by hand need not look; the tables of
  [the timings](benchmarks.md) have it under *fgi / by hand*.
- **You only infer**: in eager code only f is computed where the framework knows that it does not
  differentiate, as PyTorch under `torch.no_grad()`, and inside `with fgi.inference_mode():`.
  Compiled by `torch.compile`, `jax.jit` or XLA, the value is f alone in any case. Trace a
  `tf.function` without XLA, or TorchScript, inside `fgi.inference_mode(traced=True)`. That is the
  last column.
- **You want the gradient of another function, of every order**: `fgi.bypass(f(x), g(x))`, or
  `through="primitive"`.
- **You reproduce the paper digit by digit**: `fgi.injection.inject_as_published`. It is NaN at
  infinities, and compilers that contract products round its value.
- **You want forward mode, batching or an export**: not the native mechanisms, as many lack one of
  them ([export](export.md), [faces](faces.md)). Without a forward gradient:

{lacking}
"""
