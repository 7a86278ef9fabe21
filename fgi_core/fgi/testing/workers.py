"""Calls in a worker process: one that crashes, or takes too long, is started again.

A worker runs ``serve``: it reads pickled calls from its standard input and writes pickled answers
to what was its standard output; what frameworks print goes into a file. It ends with the process
that started it, even if that was killed.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any, TypeVar

__all__ = ["Crashed", "Local", "TookTooLong", "Worker"]

T = TypeVar("T")

ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    "OMP_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
}
"""For a worker, unless the caller has set them: quiet, 8 devices, no threads that wait."""

SERVE = "from fgi.testing.isolation import serve; serve()"
START = 180.0
"""Seconds that a framework may take to be imported."""


class Crashed(RuntimeError):  # noqa: N818, it is reported, not raised to a caller
    """The process ended in the middle of a call."""


class TookTooLong(RuntimeError):  # noqa: N818
    """The process was killed at the time limit."""


class Local:
    """The same in this process, where a crash is a crash and nothing ends a hang."""

    def call(self, function: Callable[..., T], *args: Any) -> T:
        return function(*args)

    def close(self) -> None:
        pass


class Worker:
    """One process, started on the first call and after each that went wrong."""

    def __init__(self, time_limit: float, environment: Mapping[str, str] = ENVIRONMENT) -> None:
        self.time_limit = time_limit
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[Any] = queue.Queue()
        self._said: IO[bytes] | None = None

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """What ``function`` returns there.

        Errors: those of ``function``; ``Crashed`` and ``TookTooLong``; TypeError for what cannot be
        pickled.
        """
        try:
            request = pickle.dumps((function, args))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TypeError(
                f"fgi.testing: {error}; expected what a worker process can import: a function at "
                f"the top of a module, or fgi.testing.load('module:object')"
            ) from error
        process = self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(_framed(request))
            process.stdin.flush()
        except OSError:
            raise Crashed(self._ended()) from None
        answer = self._answer(self.time_limit)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    def _answer(self, limit: float) -> Any:
        try:
            answer = self._answers.get(timeout=limit)
        except queue.Empty:
            self.close()
            raise TookTooLong(f"killed after {limit:g} s") from None
        if answer is _END:
            raise Crashed(self._ended())
        return pickle.loads(answer)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        path = os.pathsep.join(p or os.getcwd() for p in sys.path)
        environment = {**self._environment, **os.environ, "PYTHONPATH": path}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115, closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-W", "ignore", "-c", SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=environment,
        )
        self._answers = queue.Queue()
        threading.Thread(
            target=_read, args=(self._process.stdout, self._answers), daemon=True
        ).start()
        self._answer(START)
        return self._process

    def _ended(self) -> str:
        process, said = self._process, self._said
        assert process is not None
        assert said is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        said.seek(0)
        last = said.read()[-600:].decode(errors="replace").strip()
        self.close()
        return f"the worker process ended with status {process.returncode}: {last}"

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._process = None
        if self._said is not None:
            self._said.close()
            self._said = None


_END = object()


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def _read(pipe: IO[bytes], answers: queue.Queue[Any]) -> None:
    with contextlib.suppress(OSError, ValueError, EOFError):
        while size := pipe.read(8):
            answers.put(pipe.read(int.from_bytes(size, "big")))
    answers.put(_END)


def serve() -> None:
    """Answer calls until the input ends; then nobody waits for what is being computed either."""
    requests: queue.Queue[Any] = queue.Queue()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(result: Any) -> None:
        try:
            data = pickle.dumps(result)
        except Exception:
            data = pickle.dumps(RuntimeError(f"{type(result).__name__}: {result}"))
        answers.write(_framed(data))
        answers.flush()

    def listen() -> None:
        _read(sys.stdin.buffer, requests)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    answer("ready")
    while (request := requests.get()) is not _END:
        try:
            function, args = pickle.loads(request)
        except Exception as error:
            answer(RuntimeError(f"{type(error).__name__}: {error}"))
            continue
        try:
            answer(function(*args))
        except Exception as error:
            answer(RuntimeError(f"{type(error).__name__}: {error}"))
