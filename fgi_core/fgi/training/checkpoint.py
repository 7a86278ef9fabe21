"""A run that can be gone on with, in one file that is replaced as a whole or not at all."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import trees
from ..storage import from_npz, write
from .learner import State
from .settings import Settings

__all__ = ["Checkpoint", "Epoch"]

FILE = "checkpoint.npz"
ABOUT = "about"
PARTS = ("params", "first", "second")


@dataclass(frozen=True)
class Epoch:
    """What one pass through the training set brought."""

    loss: float
    """The mean over the batches."""
    train_accuracy: float
    """Of each batch before its step."""
    accuracy: float
    """Of the test set, after the epoch."""
    seconds: float


@dataclass(frozen=True)
class Checkpoint:
    """Settings, what the steps have changed, and what was seen: ``checkpoint.npz`` in a folder."""

    settings: Settings
    state: State
    history: Sequence[Epoch]
    """One for each epoch that is done."""

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Replace the checkpoint in ``folder``, which is made where there is none.

        Errors: OSError where it cannot be written; the one of before is then as it was.
        """
        path = Path(folder) / FILE
        about = {
            "settings": self.settings.to_json(),
            "step": self.state.step,
            "history": [asdict(epoch) for epoch in self.history],
        }
        first, second = self.state.moments
        arrays = trees.named({"params": self.state.params, "first": first, "second": second})
        arrays[ABOUT] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        before = path.is_file()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, buffer.getvalue())
        except OSError as error:
            kept = "; the checkpoint of before is as it was" if before else ""
            raise OSError(
                error.errno,
                f"{path} cannot be written ({error.strerror}); expected a folder with room for "
                f"{len(buffer.getvalue())} bytes{kept}",
            ) from error
        return path

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Checkpoint:
        """What ``write`` wrote; nothing in it is executed.

        Errors: FileNotFoundError where there is none; OSError where it cannot be read; ValueError
        where it is damaged.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there; expected a checkpoint to go on from")
        try:
            arrays = from_npz(path.read_bytes())
            about = json.loads(arrays.pop(ABOUT).tobytes())
            read = cls(
                Settings.from_json(about["settings"]),
                _state(arrays, about["step"]),
                [Epoch(**epoch) for epoch in about["history"]],
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            said = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(
                f"{path} is damaged ({said}); expected a checkpoint of fgi train; start again "
                f"without --resume, in another folder"
            ) from error
        read._fits(path)
        return read

    def _fits(self, path: Path) -> None:
        """The arrays of a network of these settings, in shape and dtype."""
        params = self.state.params
        try:
            features = params["hidden0"]["input"].shape[0]
            classes = params["readout"]["input"].shape[1]
            expected = _layout(self.settings.initial(features, classes))
        except (KeyError, IndexError):
            expected = {}
        for part, tree in zip(PARTS, (params, *self.state.moments), strict=True):
            found = _layout(tree)
            wrong = [
                name for name in {**found, **expected} if found.get(name) != expected.get(name)
            ]
            if wrong or not expected:
                name = min(wrong, default="hidden0.input")
                raise ValueError(
                    f"{path} is damaged ({part}.{name} is {found.get(name, 'missing')}; its "
                    f"settings say {expected.get(name, 'none')}); start again without --resume, in "
                    f"another folder"
                )


def _state(arrays: Mapping[str, Any], step: int) -> State:
    if isinstance(step, bool) or not isinstance(step, int) or step < 0:
        raise ValueError(f"step is {step!r}")
    tree = trees.nested(arrays)
    if set(tree) != set(PARTS):
        raise ValueError(f"has {', '.join(sorted(tree)) or 'no arrays'}")
    return State(tree["params"], (tree["first"], tree["second"]), step)


def _layout(tree: Mapping[str, Any]) -> dict[str, str]:
    return {name: f"{a.dtype} of shape {a.shape}" for name, a in trees.named(tree).items()}
