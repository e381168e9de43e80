"""What a test may not leave changed in its process, because the next test, in any order, reads it."""

from __future__ import annotations

import locale
import logging
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_PACKAGE = "edge_autotuner"
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGALRM)
_SET_BY_LIBRARIES = ("PYTEST_", "TORCHINDUCTOR_", "TRITON_", "KMP_", "QT_", "LD_LIBRARY_PATH")  # at their first use
_THREAD_LIMIT_S = 30.0  # for a thread that is ending


def seed_everything() -> None:
    """Seed the global generators. Torch is left out while nothing has imported it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (the global generator is the point)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@contextmanager
def kept_process_state() -> Iterator[None]:
    """Put the state of the process back afterwards, and fail when that was needed.

    Raises:
        AssertionError: loggers, environment, folder, umask, locale, signal handlers or torch's settings have changed,
            or a thread is still running.
    """
    before = {name: read() for name, (read, _) in _STATE.items()}
    threads = set(threading.enumerate())
    try:
        yield
    finally:
        after = {name: read() for name, (read, _) in _STATE.items()}
        changed = [name for name in _STATE if before[name] is not None and after[name] != before[name]]
        for name in changed:
            _STATE[name][1](before[name])
        left = _still_running(set(threading.enumerate()) - threads)
    told = [f"{name}: {_difference(before[name], after[name])}" for name in changed]
    told += [f"threads that still run: {', '.join(left)}"] if left else []
    assert not told, "the test left its process changed:\n" + "\n".join(told)


def _still_running(threads: set[threading.Thread]) -> list[str]:
    """Return the names of threads that keep the process alive and do not end by themselves."""
    left = [thread for thread in threads if not thread.daemon]
    for thread in left:
        thread.join(_THREAD_LIMIT_S)
    return sorted(thread.name for thread in left if thread.is_alive())


def _difference(before: Any, after: Any) -> str:
    if isinstance(before, dict):
        keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        return ", ".join(f"{key} was {before.get(key)!r}, is {after.get(key)!r}" for key in keys)
    return f"was {before!r}, is {after!r}"


def _loggers() -> dict[str, tuple[int, bool, bool, tuple[logging.Handler, ...]]]:
    """Return level, propagation, whether disabled, and handlers, without those that pytest adds and removes."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == _PACKAGE]
    found = {name: logging.getLogger(name) for name in [_PACKAGE, *names]} | {"": logging.root}
    return {
        name: (
            logger.level,
            logger.propagate,
            logger.disabled,
            tuple(handler for handler in logger.handlers if not type(handler).__module__.startswith("_pytest.")),
        )
        for name, logger in found.items()
    }


def _set_loggers(wanted: dict[str, tuple[int, bool, bool, tuple[logging.Handler, ...]]]) -> None:
    for name, now in _loggers().items():
        logger = logging.getLogger(name)
        level, propagate, disabled, handlers = wanted.get(name, (logging.NOTSET, True, False, ()))
        for handler in set(now[3]) - set(handlers):
            logger.removeHandler(handler)
        for handler in set(handlers) - set(now[3]):
            logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagate, disabled


def _changed_loggers() -> dict[str, tuple[int, bool, bool, tuple[logging.Handler, ...]]]:
    """Leave out loggers as `getLogger` makes them: an import during a test makes new ones."""
    return {name: state for name, state in _loggers().items() if state != (logging.NOTSET, True, False, ())}


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_SET_BY_LIBRARIES)}


def _set_environment(wanted: dict[str, str]) -> None:
    for name in _environment().keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def _umask() -> int:
    now = os.umask(0o022)
    os.umask(now)
    return now


def _hooks() -> dict[str, Any]:
    return {"excepthook": sys.excepthook, "threads": threading.excepthook, "unraisablehook": sys.unraisablehook}


def _set_hooks(wanted: dict[str, Any]) -> None:
    sys.excepthook, threading.excepthook, sys.unraisablehook = wanted.values()


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # the test's folder is gone
        return ""


def _handlers() -> dict[str, Any]:
    return {number.name: signal.getsignal(number) for number in _SIGNALS}


def _set_handlers(wanted: dict[str, Any]) -> None:
    for name, handler in wanted.items():
        signal.signal(signal.Signals[name], handler)


def _torch() -> dict[str, Any] | None:
    """Return torch's settings for the whole process, None before anything has imported it."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_num_threads"):
        return None
    return {
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "type": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def _set_torch(wanted: dict[str, Any]) -> None:
    torch = sys.modules["torch"]
    torch.set_num_threads(wanted["threads"])
    torch.set_grad_enabled(wanted["gradients"])
    torch.set_default_dtype(wanted["type"])
    torch.use_deterministic_algorithms(wanted["deterministic"])


_STATE: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "loggers": (_changed_loggers, _set_loggers),
    "environment": (_environment, _set_environment),
    "current folder": (_folder, os.chdir),
    "umask": (_umask, os.umask),
    "hooks": (_hooks, _set_hooks),
    "locale": (lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value)),
    "signal handlers": (_handlers, _set_handlers),
    "torch": (_torch, _set_torch),
}
