"""Worker processes: what crashes or hangs leaves the others reported, and a run can go on later."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import fgi
import fgi.testing as T
from fgi.testing import workers as isolation
from fgi.testing.resume import Journal
from fgi.testing.workers import Crashed, TookTooLong, Worker
from support import faults, frameworks

FRAMEWORK = min(frameworks.INSTALLED_AUTODIFF)  # jax is the quickest to start
ATAN = faults.GOOD
SETTINGS: dict[str, Any] = {
    "backends": [FRAMEWORK], "modes": ["eager"], "dtypes": ["float32"], "isolate": True,
}  # fmt: skip


def test_a_worker_answers_crashes_and_is_killed() -> None:
    worker = Worker(time_limit=5)
    try:
        assert worker.call(len, "four") == 4
        first = worker.call(os.getpid)
        assert worker.call(os.getpid) == first != os.getpid()
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            worker.call(divmod, 1, 0)
        with pytest.raises(Crashed, match="status 3"):
            worker.call(os._exit, 3)
        worker.time_limit = 0.2
        with pytest.raises(TookTooLong, match=r"killed after 0\.2 s"):
            worker.call(time.sleep, 60)
        worker.time_limit = 5
        assert worker.call(os.getpid) != first
        assert worker.call(print, "nobody sees it") is None
        with pytest.raises(TypeError, match=r"expected what a worker process can import"):
            worker.call(lambda: 1)
        assert str(worker.call(os.getenv, "XLA_FLAGS")).endswith("device_count=8")
    finally:
        worker.close()


def test_a_crash_and_a_hang_leave_the_others_reported() -> None:
    things = [ATAN, faults.crashes, faults.hangs, faults.kink, fgi.surrogates.Triangle()]
    report = T.check(things, like=None, time_limit=20, **SETTINGS)
    status = {row.subject.partition("(")[0]: row.status for row in report.rows}
    assert status == {
        "ATan": "ok", "crashes": "crash", "hangs": "time limit", "kink": "ok", "Triangle": "ok",
    }  # fmt: skip
    assert report.exit_status == 2
    assert "ended with status 7" in str(report)
    assert "killed after 20 s" in str(report)


def test_a_worker_whose_caller_is_gone_stops_computing() -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", isolation.SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    call = pickle.dumps((time.sleep, (3600,)))
    worker.stdin.write(len(call).to_bytes(8, "big") + call)
    worker.stdin.close()
    with worker.stdout:
        assert worker.wait(60) == 0


def test_what_is_not_importable_is_said_so() -> None:
    report = T.check(lambda x: x, **SETTINGS)
    assert "expected what a worker process can import" in report.errors[0].reason


def test_finished_rows_are_not_run_again(tmp_path: Path) -> None:
    journal = tmp_path / "rows.jsonl"
    settings = SETTINGS | {"isolate": False, "journal": journal}
    first = T.check([ATAN, faults.published], like=ATAN, **settings)
    lines = journal.read_text().splitlines()
    assert len(lines) == 3

    # As if it had been interrupted while it wrote the second row.
    journal.write_text("\n".join([*lines[:2], lines[2][:40]]))
    heard: list[T.Row] = []
    again = T.check(
        [ATAN, faults.published], like=ATAN, on_rows=lambda name, rows: heard.extend(rows),
        **settings,
    )  # fmt: skip
    assert [row.subject for row in heard] == ["published"]
    assert [row.status for row in again.rows] == [row.status for row in first.rows]
    assert len(journal.read_text().splitlines()) == 3
    with pytest.raises(ValueError, match=r"was written with another seed; expected the same"):
        T.check(ATAN, seed=5, **settings)


def test_rows_survive_the_journal_bit_for_bit(tmp_path: Path) -> None:
    (row,) = T.check(faults.published, like=ATAN, **(SETTINGS | {"isolate": False})).rows
    Journal(tmp_path / "rows", {}).add([row])
    (back,) = Journal(tmp_path / "rows", {}).rows
    assert repr(back) == repr(row)


def test_an_interrupt_keeps_what_there_is() -> None:
    def interrupt(framework: str, rows: list[T.Row]) -> None:
        raise KeyboardInterrupt

    report = T.check(ATAN, on_rows=interrupt, **(SETTINGS | {"isolate": False}))
    assert not report.complete
    assert not report.ok
    assert report.exit_status == 2
    assert len(report.rows) == 1
    assert "interrupted" in str(report)


def test_the_environment_of_a_worker_is_the_callers_where_it_says_so() -> None:
    assert set(isolation.ENVIRONMENT) >= {"XLA_FLAGS", "TF_CPP_MIN_LOG_LEVEL"}
