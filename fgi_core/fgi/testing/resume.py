"""Finished rows in a file, a line each, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .report import Row

__all__ = ["Journal"]


class Journal:
    """JSON lines: the settings that the rows belong to, then the rows."""

    def __init__(self, path: str | Path, settings: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.rows: list[Row] = []
        self._lock = threading.Lock()
        header = json.loads(json.dumps(dict(settings)))
        lines = self.path.read_text("utf-8").splitlines() if self.path.exists() else []
        if lines:
            before = json.loads(lines[0])
            if before != header:
                differ = [k for k in {**before, **header} if before.get(k) != header.get(k)]
                raise ValueError(
                    f"fgi.testing: {self.path} was written with another {', '.join(differ)}; "
                    f"expected the same; name a new file, or the same options"
                )
        else:
            self.path.write_text(json.dumps(header) + "\n", "utf-8")
        for line in lines[1:]:
            try:
                self.rows.append(Row.from_dict(json.loads(line)))
            except ValueError:
                break  # the line that was being written
        if lines:
            kept = [lines[0], *lines[1 : 1 + len(self.rows)]]
            self.path.write_text("\n".join(kept) + "\n", "utf-8")

    def add(self, rows: Iterable[Row]) -> None:
        """Append finished rows."""
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row.to_dict(), allow_nan=False) + "\n")
