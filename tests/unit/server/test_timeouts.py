"""A time-out gives up an answer; what becomes of the work behind it is written down here, place by place."""

from __future__ import annotations

import ast

from helpers import REPOSITORY

SERVER = REPOSITORY / "src" / "edge_autotuner" / "server"

WORK = {
    "annotation/service.py:annotate": "what only this request waits for leaves the queue; a decoding ends by its CPU "
    "time (annotation/decoders.py), a call of a model keeps its place (`n_parallel`), /v1/ready names a stuck one",
    "annotation/decoders.py:_wait": "the process that decodes is killed",
    "annotation/decoders.py:_end": "the process that decodes is killed",
    "limits.py:wait_for": "nothing but the next piece of a body is waited for",
    "registry.py:_wait": "nothing but news is waited for",
    "database.py:_wait_for_turn": "nothing has begun: it is the turn that is waited for",
    "jobs/process.py:_supervise": "the worker is killed, and its job's process with it",
    "jobs/worker.py:work_on": "the process of the job is killed",
    "jobs/worker.py:_watch": "the process of the job is killed",
    "jobs/dataset_check.py:read_dataset": "the process that reads is killed",
}


def test_every_time_out_of_the_service_says_what_becomes_of_the_work() -> None:
    assert set(found_places()) == set(WORK), "a new time-out: end its work, or bound and count it, and say so here"


def found_places() -> list[str]:
    """Return file and function of every call that waits for so long and no longer."""
    found = []
    for path in sorted(SERVER.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and gives_up(node)):
            around = [f for f in functions if f.lineno <= call.lineno <= (f.end_lineno or 0)]
            found.append(f"{path.relative_to(SERVER)}:{max(around, key=lambda f: f.lineno).name}")
    return found


def gives_up(call: ast.Call) -> bool:
    called, text = ast.unparse(call.func), ast.unparse(call)
    names = {"asyncio.timeout", "asyncio.wait_for", "poll.poll", "wait_or_kill", "ask_process", "process.end"}
    return (called in names and bool(call.args or call.keywords)) or (
        called.endswith(".acquire") and "timeout=" in text
    )
