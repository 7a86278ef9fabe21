"""``fgi`` and ``python -m fgi``: the command line, where its libraries are installed."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    try:
        from .cli import app
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "rich"}:
            raise
        sys.exit(f"fgi: the command line needs {error.name}; write pip install 'fgi[cli]'")
    app()


if __name__ == "__main__":
    main()
