"""``fgi train``: a spiking network on digits or MNIST, in one framework, or in several in step."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

import fgi

from . import shell
from .shell import bars, console, invoked

if TYPE_CHECKING:
    from ..training import Checkpoint, Epoch, Settings
    from ..training.compare import Comparison, Difference

__all__ = ["train"]

FRAMEWORKS = ("torch", "jax", "tensorflow")
# What can go wrong with what came from outside; anything else is a defect and shows its trace.
WRONG = (ValueError, TypeError, OSError, ImportError, LookupError, FloatingPointError)


def train(
    backend: Annotated[
        str | None, typer.Option(help="torch, jax or tensorflow. Default: the first installed.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="alif, brf, lif, rf, slif or yin. Default: alif.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="digits, or the folder of the MNIST files, or mnist.npz.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Read images by row or by pixel.")] = None,
    seq_length: Annotated[
        int | None, typer.Option(help="Or in so many steps: 28 to 784 of MNIST, 8 to 64.")
    ] = None,
    permuted: Annotated[
        bool | None, typer.Option("--permuted", help="The pixels in one random order.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="By name: brf-smnist. Default: model and reading's own.")
    ] = None,
    surrogate: Annotated[
        str | None, typer.Option(help="As for `fgi plot`: gaussian:sigma=0.5, atan, JSON.")
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Neurons.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set.")] = None,
    batch: Annotated[int | None, typer.Option(help="Sequences in a step.")] = None,
    rate: Annotated[float | None, typer.Option(help="Adam's learning rate.")] = None,
    decay: Annotated[
        str | None, typer.Option(help="Of the rate over the epochs: cosine, linear or none.")
    ] = None,
    clip: Annotated[
        float | None, typer.Option(help="The gradient's largest norm; 0: as it is.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and order.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda. Default: the framework's.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or float64.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Keep each epoch in this folder.")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from there; of the settings, --epochs may change."),
    ] = False,
    compare: Annotated[
        str, typer.Option(help="Frameworks to train in step: torch,jax. No checkpoints.")
    ] = "",
    json: Annotated[
        Path | None, typer.Option(help="Write all numbers, one line of JSON; -: to stdout.")
    ] = None,
) -> None:
    """Train a spiking network on digits or MNIST; exit status 0: done, 2: not, and why."""
    # TensorFlow says much when it starts, and most of it about oneDNN.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    given: dict[str, Any] = {
        "backend": backend, "model": model, "data": data, "by": by, "seq_length": seq_length,
        "permuted": permuted, "recipe": recipe, "surrogate": surrogate, "hidden": hidden,
        "epochs": epochs, "batch": batch, "rate": rate, "decay": decay, "clip": clip,
        "seed": seed, "device": device, "dtype": dtype,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    try:
        if surrogate is not None:
            given["surrogate"] = shell.surrogate(surrogate).to_config()
        if compare:
            content = _compare(given, compare, checkpoint or resume)
        else:
            content = _train(given, checkpoint, resume)
        _write(content, json)
    except typer.BadParameter as error:
        raise _refused(error.format_message()) from error
    except ModuleNotFoundError as error:
        raise _refused(f"needs {error.name}; write pip install 'fgi[data]'") from error
    except WRONG as error:
        # With a number of its own, an OSError says that first.
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        where = getattr(error, "filename", None)
        raise _refused(f"{where}: {said}" if where else said) from error
    except KeyboardInterrupt:
        if checkpoint is not None:
            typer.echo("fgi train: stopped; go on with --resume", err=True)
        raise


def _refused(text: str) -> typer.Exit:
    typer.echo(f"fgi train: {' '.join(text.split())}", err=True)
    return typer.Exit(2)


def _installed() -> str:
    found = [name for name in FRAMEWORKS if name in fgi.available_backends()]
    if not found:
        raise ImportError("no framework is installed; write pip install 'fgi[torch]'")
    return found[0]


def _train(given: dict[str, Any], folder: Path | None, resume: bool) -> dict[str, Any]:
    from .. import training
    from ..training import report

    run: Settings | Checkpoint
    if resume:
        if folder is None:
            raise ValueError("--resume without --checkpoint; expected the folder to go on from")
        run = _resumed(given, training.Checkpoint.read(folder))
        settings, done = run.settings, len(run.history)
        if done >= settings.epochs:
            console.print(f"{done} of {settings.epochs} epochs were done already", markup=False)
            return report.of_run(run, invoked())
    else:
        given.setdefault("backend", _installed())
        run = settings = training.settings(**given)
        done = 0
    data = training.sequences(settings)
    steps = data.train.shape[1] // settings.batch
    with bars(transient=True) as shown:
        task = shown.add_task("steps", total=steps * settings.epochs, completed=steps * done)
        printer = _Epochs(done)
        run = training.train(
            run, data=data, folder=folder,
            on_step=lambda: shown.advance(task), on_epoch=printer.one,
        )  # fmt: skip
    console.print(report.verdict(run), markup=False)
    return report.of_run(run, invoked())


def _resumed(given: dict[str, Any], stored: Checkpoint) -> Checkpoint:
    from .. import training

    settings = stored.settings
    epochs = given.pop("epochs", settings.epochs)
    asked = dict(given)
    if "by" in asked or "recipe" in asked:
        whole = training.settings(**{"backend": settings.backend, "data": settings.data} | asked)
        mine = whole.to_json()
        del mine["epochs"]
        asked = mine if "recipe" in asked else asked | {"seq_length": mine["seq_length"]}
        asked.pop("by", None)
    differing = settings.differences(asked)
    if differing:
        raise ValueError(
            f"the checkpoint has other settings ({'; '.join(differing)}); expected those, or none "
            f"but --epochs"
        )
    return replace(stored, settings=replace(settings, epochs=epochs))


def _compare(given: dict[str, Any], names: str, kept: Path | bool | None) -> dict[str, Any]:
    from .. import training
    from ..training import report

    if kept or "backend" in given:
        raise ValueError(
            "--compare with --backend, --checkpoint or --resume; expected one or the other"
        )
    backends = [name.strip() for name in names.split(",") if name.strip()]
    settings = training.settings(backend=backends[0] if backends else "", **given)
    data = training.sequences(settings)
    steps = data.train.shape[1] // settings.batch * settings.epochs
    with bars(transient=True) as shown:
        task = shown.add_task("steps", total=steps)
        found = training.compare(settings, backends, data=data, on_step=lambda: shown.advance(task))
    _tell(found)
    return report.of_comparison(settings, found, invoked())


def _write(content: dict[str, Any], path: Path | None) -> None:
    from ..training import report

    if path == Path("-"):
        typer.echo(report.line(content), nl=False)
    elif path is not None:
        report.save(content, path)


class _Epochs:
    """A line for each epoch, with a heading above the first."""

    def __init__(self, done: int) -> None:
        self.number = done

    def one(self, epoch: Epoch) -> None:
        if self.number == 0:
            self._print("epoch", "loss", "train", "test", "seconds")
        self.number += 1
        self._print(
            str(self.number),
            f"{epoch.loss:.4f}",
            f"{100 * epoch.train_accuracy:.1f} %",
            f"{100 * epoch.accuracy:.1f} %",
            f"{epoch.seconds:.1f}",
        )

    def _print(self, *cells: str) -> None:
        console.print(" ".join(f"{cell:>9}" for cell in cells), markup=False, highlight=False)


def _tell(found: Comparison) -> None:
    reference = found.backends[0]
    rows: list[tuple[str, list[Difference]]] = [
        ("step", found.first_steps),
        ("epoch", found.epochs),
    ]
    for word, differences in rows:
        shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in (word, f"|framework - {reference}|", "loss", "parameters", "most in"):
            shown.add_column(heading, justify="right", no_wrap=True)
        for d in differences:
            where, size = max(d.params.items(), key=lambda pair: pair[1])
            number = d.step if word == "step" else d.epoch
            shown.add_row(str(number), d.backend, f"{d.loss:.1e}", f"{size:.1e}", where)
        console.print(shown)
    parted = {parting.backend: parting for parting in found.partings}
    for name in found.backends[1:]:
        last = f"test accuracy {100 * found.accuracies[name][-1]:.1f} %"
        if name in parted:
            p = parted[name]
            text = (
                f"{name} parts from {reference} by more than {found.tolerance:g} in epoch "
                f"{p.epoch}, step {p.step}, {p.what}: {p.difference:.1e}; {last}"
            )
        else:
            text = f"{name} stays within {found.tolerance:g} of {reference}; {last}"
        console.print(text, markup=False, highlight=False)
    console.print(
        f"{reference}: test accuracy {100 * found.accuracies[reference][-1]:.1f} %", markup=False
    )
