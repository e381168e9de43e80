"""Pictures of several callers go through a model together; a bad one, or a caller who leaves, harms no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from edge_autotuner.core import Detections, Detector
from edge_autotuner.core.types import ImageArray
from edge_autotuner.server.annotation.batch_queue import BatchRules
from edge_autotuner.server.annotation.batcher import Batcher, ModelFailed, QueueFull
from support.service.service_samples import OneByOne, StubDetector, in_thread, noise, score_of

RULES = BatchRules(max_batch=4, max_wait_s=0.0, max_items=8, max_pixels=10**9)


async def ask(batcher: Batcher, image: ImageArray) -> Detections:
    (place,) = batcher.reserve([image.shape[0] * image.shape[1]])
    return await batcher.detect(place, image)


async def busy_with_one(batcher: Batcher, stub: StubDetector) -> asyncio.Task[Detections]:
    """Let a first picture occupy the model."""
    first = asyncio.create_task(ask(batcher, noise(seed=99)))
    await in_thread(stub.wait_for_call)
    return first


async def asked(batcher: Batcher, *seeds: int) -> list[asyncio.Task[Detections]]:
    """Return questions that wait already."""
    tasks = [asyncio.create_task(ask(batcher, noise(seed=seed))) for seed in seeds]
    await asyncio.sleep(0)
    return tasks


def test_what_comes_while_the_model_is_busy_goes_together() -> None:
    stub, noted = StubDetector(is_open=False), []

    async def scenario() -> None:
        batcher = Batcher(stub, RULES, name="stub", on_call=lambda n, seconds: noted.append(n))
        first = await busy_with_one(batcher, stub)
        others = await asked(batcher, 1, 2, 3, 4, 5)
        assert batcher.n_waiting == 5
        stub.open()
        answers = await asyncio.gather(first, *others)
        assert [answer.scores[0] for answer in answers] == [score_of(noise(seed=s)) for s in (99, 1, 2, 3, 4, 5)]
        assert batcher.n_waiting == 0
        batcher.close()

    asyncio.run(scenario())
    assert stub.calls == noted == [1, 4, 1]


def test_a_detector_without_batches_is_called_one_by_one() -> None:
    stub = StubDetector(is_open=False)
    alone = OneByOne(stub)
    assert isinstance(alone, Detector)

    async def scenario() -> None:
        batcher = Batcher(alone, RULES, name="stub")
        first = await busy_with_one(batcher, stub)
        others = await asked(batcher, 1, 2)
        stub.open()
        assert all(len(answer) == 1 for answer in await asyncio.gather(first, *others))
        batcher.close()

    asyncio.run(scenario())
    assert stub.calls == [1, 1, 1]


def test_a_bad_picture_fails_alone() -> None:
    stub = StubDetector(is_open=False)
    stub.poison.add(score_of(noise(seed=2)))

    async def scenario() -> None:
        batcher = Batcher(stub, RULES, name="stub")
        first = await busy_with_one(batcher, stub)
        others = await asked(batcher, 1, 2, 3)
        stub.open()
        answers = await asyncio.gather(first, *others, return_exceptions=True)
        assert [type(answer) for answer in answers] == [Detections, Detections, ModelFailed, Detections]
        assert isinstance(answers[2].__cause__, RuntimeError)
        batcher.close()

    asyncio.run(scenario())
    assert stub.calls == [1, 3, 1, 1, 1]


class Wrong(StubDetector):
    def __init__(self, answer: object) -> None:
        super().__init__()
        self._answer = answer

    def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
        return [self._answer] * len(images)  # type: ignore[list-item]


def one_box(**changes: object) -> Detections:
    values = {"boxes_xyxy": np.array([[0, 0, 5, 5]]), "scores": np.array([0.5]), "class_ids": np.array([1])}
    return Detections(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(None, "NoneType", id="nothing"),
        pytest.param(one_box(scores=np.array([np.nan])), "not finite", id="no number"),
        pytest.param(one_box(boxes_xyxy=np.array([[0, 0, np.inf, 5]])), "not finite", id="infinite box"),
        pytest.param(one_box(class_ids=np.array([2])), "class", id="unknown class"),
        pytest.param(one_box(class_ids=np.array([-1])), "class", id="negative class"),
    ],
)
def test_an_answer_that_cannot_be_is_a_failure(answer: object, reason: str) -> None:
    async def scenario() -> None:
        batcher = Batcher(Wrong(answer), RULES, name="stub")
        with pytest.raises(ModelFailed, match=reason):
            await ask(batcher, noise())
        batcher.close()

    asyncio.run(scenario())


class Forgetful(StubDetector):
    def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
        return super().detect_batch(images)[:1]


def test_a_batch_with_too_few_answers_is_asked_again_one_by_one() -> None:
    stub = Forgetful(is_open=False)

    async def scenario() -> None:
        batcher = Batcher(stub, RULES, name="stub")
        first = await busy_with_one(batcher, stub)
        others = await asked(batcher, 1, 2)
        stub.open()
        assert all(len(answer) == 1 for answer in await asyncio.gather(first, *others))
        batcher.close()

    asyncio.run(scenario())
    assert stub.calls == [1, 2, 1, 1]


def test_even_a_model_that_wants_to_end_the_program_only_fails() -> None:
    class Leaving(StubDetector):
        def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
            raise SystemExit("enough")

    async def scenario() -> None:
        batcher = Batcher(Leaving(), RULES, name="stub")
        for _ in range(2):  # the thread goes on
            with pytest.raises(ModelFailed, match="enough"):
                await ask(batcher, noise())
        assert batcher.n_waiting == 0
        batcher.close()

    asyncio.run(scenario())


def test_a_caller_who_leaves_takes_the_picture_along() -> None:
    stub = StubDetector(is_open=False)

    async def scenario() -> None:
        batcher = Batcher(stub, RULES, name="stub")
        first = await busy_with_one(batcher, stub)
        leaving, staying = await asked(batcher, 1, 2)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert batcher.n_waiting == 1
        first.cancel()  # its call goes on, and nobody waits for it
        await asyncio.gather(first, return_exceptions=True)
        stub.open()
        assert len(await staying) == 1
        batcher.close()

    asyncio.run(scenario())
    assert stub.calls == [1, 1]


def test_a_full_queue_says_when_to_come_back() -> None:
    stub = StubDetector(is_open=False)

    async def scenario() -> None:
        batcher = Batcher(stub, RULES, name="stub")
        first = await busy_with_one(batcher, stub)
        others = await asked(batcher, *range(8))
        with pytest.raises(QueueFull) as refused:
            batcher.reserve([1])
        assert refused.value.retry_after_s == pytest.approx(0.9), "nine pictures of the first guess, 0.1 s each"
        stub.open()
        await asyncio.gather(first, *others)
        assert batcher.reserve([1] * 8)
        batcher.close()

    asyncio.run(scenario())


def test_the_wait_follows_the_measured_time() -> None:
    class Clock:
        now_s = 0.0

        def monotonic_s(self) -> float:
            return self.now_s

        def now(self) -> None: ...

    clock = Clock()

    class Slow(StubDetector):
        def detect_batch(self, images: Sequence[ImageArray]) -> list[Detections]:
            clock.now_s += 4.0
            return super().detect_batch(images)

    async def scenario() -> None:
        batcher = Batcher(Slow(), RULES, name="stub", clock=clock)  # type: ignore[arg-type]
        await ask(batcher, noise())
        batcher.reserve([1, 1])
        assert batcher.retry_after_s == pytest.approx(8.0)
        batcher.close()

    asyncio.run(scenario())


def test_a_call_that_is_under_way_has_an_age() -> None:
    stub = StubDetector(is_open=False)

    async def scenario() -> None:
        batcher = Batcher(stub, RULES, name="stub")
        assert batcher.longest_call_s == 0.0
        first = await busy_with_one(batcher, stub)
        assert batcher.longest_call_s > 0.0
        stub.open()
        await first
        await asyncio.sleep(0)
        assert batcher.longest_call_s == 0.0
        batcher.close()

    asyncio.run(scenario())
