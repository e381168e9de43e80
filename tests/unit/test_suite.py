"""Rules for the tests themselves: none depends on the machine's speed, on the order, or on what another one left."""

from __future__ import annotations

import ast
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from helpers import REPOSITORY
from support.machine.process_state import kept_process_state

SHORTEST_LIMIT_S = 60


def calls() -> Iterator[tuple[Path, ast.Call]]:
    for path in sorted((REPOSITORY / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, node


def place(path: Path, node: ast.Call) -> str:
    return f"{path.relative_to(REPOSITORY)}:{node.lineno}"


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def test_one_profile_for_all_property_tests() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    assert settings.default.derandomize or settings.get_current_profile_name() == "search"
    assert HealthCheck.too_slow in settings.default.suppress_health_check


def test_no_test_listens_at_a_fixed_port() -> None:
    fixed = []
    for path, call in calls():
        if name_of(call) in {"create_server", "bind", "HTTPServer", "ThreadingHTTPServer"} and call.args:
            address = call.args[0]
            port = address.elts[1] if isinstance(address, ast.Tuple) and len(address.elts) == 2 else None
            if isinstance(port, ast.Constant) and port.value != 0:
                fixed.append(place(path, call))
    assert fixed == [], "port 0 gives a free one"


def test_limits_of_waiting_are_long() -> None:
    """A thread or process that has ended is joined at once, so a limit costs nothing but when a test fails."""
    short = []
    for path, call in calls():
        if name_of(call) not in {"join", "wait", "communicate", "run", "check_output", "acquire", "wait_for"}:
            continue
        limits = [keyword.value for keyword in call.keywords if keyword.arg == "timeout"]
        if name_of(call) in {"join", "wait"} and isinstance(call.func, ast.Attribute):
            limits += call.args[:1]
        for limit in limits:
            if isinstance(limit, ast.Constant) and isinstance(limit.value, int | float):
                is_poll = limit.value <= 0.1  # between two looks at something else, or a wait that must not succeed
                short += [] if is_poll or limit.value >= SHORTEST_LIMIT_S else [place(path, call)]
    assert short == [], f"limits of {SHORTEST_LIMIT_S} s or more only say that something hangs"


def change_level() -> None:
    logging.getLogger("edge_autotuner").setLevel(logging.CRITICAL)


def change_level_below() -> None:
    logging.getLogger("edge_autotuner.made_by_a_test").disabled = True


def add_handler() -> None:
    logging.getLogger("edge_autotuner").addHandler(logging.NullHandler())


def change_environment() -> None:
    os.environ["EDGE_AUTOTUNER_LEFT"] = "1"


def remove_from_environment() -> None:
    del os.environ["PATH"]


def change_folder() -> None:
    os.chdir("/")


def change_umask() -> None:
    os.umask(0o777)


def change_hook() -> None:
    sys.excepthook = print  # type: ignore[assignment]


def change_handler() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def change_torch() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(torch.get_num_threads() + 1)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (change_level, "loggers: edge_autotuner was"),
        (change_level_below, "edge_autotuner.made_by_a_test"),
        (add_handler, "NullHandler"),
        (change_environment, "environment: EDGE_AUTOTUNER_LEFT was None, is '1'"),
        (remove_from_environment, "environment: PATH was"),
        (change_folder, "current folder: was"),
        (change_umask, "umask: was"),
        (change_hook, "hooks: excepthook was"),
        (change_handler, "signal handlers: SIGTERM was"),
        (change_torch, "torch: threads was"),
    ],
)
def test_what_a_test_leaves_changed_fails_it_and_is_put_back(change: Callable[[], None], word: str) -> None:
    pytest.importorskip("torch")  # is known before and after then
    with pytest.raises(AssertionError, match=word), kept_process_state():
        change()
    with kept_process_state():
        pass


def test_a_thread_that_is_left_fails_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.machine.process_state._THREAD_LIMIT_S", 0.01)
    go = threading.Event()
    thread = threading.Thread(target=go.wait, name="left behind")
    with pytest.raises(AssertionError, match="threads that still run: left behind"), kept_process_state():
        thread.start()
    go.set()
    thread.join()


def test_a_test_that_changes_nothing_passes() -> None:
    with kept_process_state():
        pass
