"""The thread of an output survives what its work raises."""

from __future__ import annotations

import pytest

from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.node.outputs.queued_output import QueuedOutput
from support.service.output_samples import wait_until


class Numbers(QueuedOutput[int]):
    """Keeps numbers; raises what it is given."""

    name = "numbers"

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)
        self.got: list[int] = []
        self._start()

    def give(self, *numbers: int) -> None:
        for number in numbers:
            self._put(number)

    def _work(self) -> None:
        self._mailbox.wait(None)
        if self.errors:
            raise self.errors.pop(0)
        self._finish()

    def _finish(self) -> None:
        self.got += self._mailbox.take_all()


def test_items_arrive_in_order() -> None:
    output = Numbers()
    output.give(*range(100))
    output.close()
    assert output.got == list(range(100))


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        pytest.param(EdgeAutotunerError("the peer is away"), "the peer is away", id="expected"),
        pytest.param(ValueError("injected"), "unexpected ValueError", id="unexpected"),
    ],
)
def test_an_error_is_counted_and_the_thread_continues(error: Exception, problem: str) -> None:
    output = Numbers(error)
    output.give(1)
    wait_until(lambda: output.got == [1])
    assert (output.status.problem, output.status.n_failures) == (problem, 1)
    output.close()


def test_what_its_end_leaves_is_counted_as_dropped() -> None:
    output = Numbers()
    output._finish = lambda: None  # type: ignore[method-assign]
    output.close()
    output.give(1, 2)
    assert output.status.n_dropped == 2
