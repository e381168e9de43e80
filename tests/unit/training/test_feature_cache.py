"""Features of frozen layers: computed once, read as they were, and never those of something else."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from edge_autotuner.config import AugmentationConfig, FeatureCacheConfig
from edge_autotuner.core import Deadline
from edge_autotuner.core.clock import FakeClock
from edge_autotuner.core.progress import NoProgress
from edge_autotuner.errors import TrainingDiverged
from edge_autotuner.models import TrainableNetwork
from edge_autotuner.models.yolox import Yolox
from edge_autotuner.training import BatchMaker, TrainingSample, feature_store
from edge_autotuner.training.feature_cache import (
    FeatureBatch,
    FeatureCache,
    FeatureSource,
    RecomputedFeatures,
    open_feature_source,
)
from support.cameras.coloured_scene import coloured_sample, fresh_network
from support.runs.trainable_cases import add_narrow_networks, fresh_ssdlite

SIZE = (64, 64)
SAMPLES = [coloured_sample(i, n_objects=i % 3) for i in range(3)]
BATCHES = ([0, 1], [2, 0])
CONFIG = FeatureCacheConfig(n_views=2, min_free_gb=0)
FILES = {"features.json", "features.bin", "features.journal"}


class CountingYolox(Yolox):
    """Knows how many pictures its frozen layers have seen; `factor` enlarges what they say."""

    n_seen = 0
    factor = 1.0

    def features_before(self, images: Tensor, layers: str) -> tuple[Tensor, ...]:
        self.n_seen += len(images)
        return tuple(feature * self.factor for feature in super().features_before(images, layers))


@cache
def frozen_network(seed: int = 0) -> TrainableNetwork:
    """Return a network that no test changes."""
    return fresh_network(seed=seed)


def counting_network(seed: int = 0) -> CountingYolox:
    network = CountingYolox("yolox-nano", 2)
    network.load_state_dict(frozen_network(seed).state_dict())
    return network


def maker(network: TrainableNetwork, samples: Sequence[TrainingSample] = SAMPLES, seed: int = 0) -> BatchMaker:
    return BatchMaker(samples, SIZE, network=network, augmentation=AugmentationConfig(), seed=seed)


def open_source(
    folder: Path | None = None,
    network: TrainableNetwork | None = None,
    *,
    samples: Sequence[TrainingSample] = SAMPLES,
    layers: str = "box",
    seed: int = 0,
    config: FeatureCacheConfig = CONFIG,
    fingerprint: str = "abc",
    deadline: Deadline | None = None,
) -> FeatureSource:
    network = network or frozen_network()
    return open_feature_source(
        network,
        maker(network, samples, seed),
        layers,
        n_samples=len(samples),
        config=config,
        folder=folder,
        fingerprint=fingerprint,
        deadline=deadline or Deadline(),
        progress=NoProgress(),
    )


def read(source: FeatureSource, n_epochs: int = 3) -> list[FeatureBatch]:
    return [
        source.batch(indices, epoch=epoch, step=step)
        for epoch in range(n_epochs)
        for step, indices in enumerate(BATCHES)
    ]


def same(a: FeatureBatch, b: FeatureBatch) -> bool:
    targets = zip(a.targets, b.targets, strict=True)
    return all(torch.equal(x, y) for x, y in zip(a.features, b.features, strict=True)) and all(
        torch.equal(getattr(x, name), getattr(y, name))
        for x, y in targets
        for name in ("boxes_xyxy", "class_ids", "is_known", "weights")
    )


def all_same(a: Sequence[FeatureBatch], b: Sequence[FeatureBatch]) -> bool:
    return all(same(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def expected() -> list[FeatureBatch]:
    """What a training sees that nothing interrupts."""
    with open_source() as source:
        return read(source)


# --- what is given out


@pytest.mark.parametrize("layers", ["box", "top"])
@pytest.mark.parametrize("family", ["yolox", "ssdlite"])
def test_a_batch_is_what_the_frozen_layers_say_of_the_views(
    family: str, layers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_narrow_networks(monkeypatch)
    network = fresh_network() if family == "yolox" else fresh_ssdlite()
    batches = maker(network)
    with open_source(None, network, layers=layers) as source:
        for _ in range(2):  # computed, then read
            batch = source.batch([2, 1], epoch=1, step=0)
            for row, index in enumerate((2, 1)):
                view = batches.batch([index], epoch=1, step=index)
                with torch.no_grad():
                    features = network.features_before(view.images, layers)
                alone = FeatureBatch(tuple(f[row : row + 1] for f in batch.features), [batch.targets[row]])
                assert same(alone, FeatureBatch(tuple(f.half().float() for f in features), view.targets))
            for feature in batch.features:
                assert feature.dtype == torch.float32
                assert feature.is_contiguous(memory_format=torch.channels_last)
                assert not feature.requires_grad
            assert network.outputs_of(batch.features, layers).requires_grad


def test_each_view_is_computed_once() -> None:
    network = counting_network()
    with open_source(None, network) as source:
        n_before = network.n_seen
        counts = []
        for epoch in range(5):
            for step, indices in enumerate(([0, 1], [2])):
                source.batch(indices, epoch=epoch, step=step)
            counts.append(network.n_seen - n_before)
    assert counts == [3, 6, 6, 6, 6]


def test_views_take_turns() -> None:
    with open_source() as source:
        first, second, third = (source.batch([0, 1], epoch=epoch, step=0) for epoch in range(3))
        assert same(first, third)
        assert not same(first, second)
        again = source.batch([0, 1], epoch=0, step=2)  # three pictures: the epoch is through them for the first time
        assert same(again, second)
        part = source.batch([0, 1], epoch=0, step=1)  # the second of these is the fourth that the epoch shows
        assert torch.equal(part.features[0][0], first.features[0][0])
        assert torch.equal(part.features[0][1], second.features[0][1])


def test_another_seed_gives_other_views(expected: list[FeatureBatch]) -> None:
    with open_source() as same_seed, open_source(seed=1) as other_seed:
        assert all_same(read(same_seed), expected)
        assert not any(same(a, b) for a, b in zip(read(other_seed), expected, strict=True))


# --- what survives


@pytest.mark.parametrize("n_batches", [0, 1, 4])
def test_a_killed_training_goes_on_with_the_same_batches(
    n_batches: int, tmp_path: Path, expected: list[FeatureBatch]
) -> None:
    network = counting_network()
    killed = open_source(tmp_path, network)
    for batch, (epoch, step) in zip(expected[:n_batches], [(e, s) for e in range(3) for s in range(2)], strict=False):
        assert same(killed.batch(BATCHES[step], epoch=epoch, step=step), batch)
    journal = tmp_path / "features.journal"
    killed.close(keep_files=True)
    journal.write_bytes(journal.read_bytes()[:-3])  # in the middle of the last entry
    n_kept = max(len({(i, (e + (s * 2 + r) // 3) % 2) for e, s, r, i in shown(n_batches)}) - 1, 0)
    with open_source(tmp_path, network) as source:
        n_before = network.n_seen
        assert all_same(read(source), expected)
        assert network.n_seen - n_before == 6 - n_kept


def shown(n_batches: int) -> list[tuple[int, int, int, int]]:
    """Return epoch, step, row and index of each picture in the first batches."""
    steps = [(epoch, step) for epoch in range(3) for step in range(2)][:n_batches]
    return [(epoch, step, row, index) for epoch, step in steps for row, index in enumerate(BATCHES[step])]


def test_damaged_features_are_computed_again(
    tmp_path: Path, expected: list[FeatureBatch], caplog: pytest.LogCaptureFixture
) -> None:
    source = open_source(tmp_path)
    read(source)
    source.close(keep_files=True)
    with (tmp_path / "features.bin").open("r+b") as file:
        file.write(b"\x77" * 100)
    with open_source(tmp_path) as again:
        assert all_same(read(again), expected)
    assert "1 of 6 cached feature maps are damaged" in caplog.text


def filled(folder: Path) -> None:
    source = open_source(folder)
    read(source)
    source.close(keep_files=True)


def test_features_of_another_network_are_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path)
    other = frozen_network(1)
    with open_source(tmp_path, other) as source, open_source(None, other) as fresh:
        assert all_same(read(source), read(fresh))
    assert "for another network or other pictures" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"seed": 1}, id="seed"),
        pytest.param({"samples": [coloured_sample(7), *SAMPLES[1:]]}, id="other picture"),
        pytest.param({"fingerprint": "abd"}, id="fingerprint"),
        pytest.param({"layers": "top"}, id="layers"),
    ],
)
def test_features_of_another_training_are_not_used(
    change: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path)
    with open_source(tmp_path, **change) as source, open_source(None, **change) as fresh:  # type: ignore[arg-type]
        assert all_same(read(source), read(fresh))
    assert "recomputing" in caplog.text
    assert "recomputing" in caplog.text


def test_the_files_go_when_the_training_is_over(tmp_path: Path) -> None:
    with open_source(tmp_path) as source:
        read(source)
        assert {path.name for path in tmp_path.iterdir()} == FILES
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "names"),
    [
        pytest.param(TrainingDiverged("loss is nan"), set(), id="a training that cannot go on"),
        pytest.param(KeyboardInterrupt(), FILES, id="interrupted"),
        pytest.param(MemoryError(), FILES, id="crashed"),
    ],
)
def test_the_files_stay_when_a_training_may_continue(error: BaseException, names: set[str], tmp_path: Path) -> None:
    with pytest.raises(type(error)), open_source(tmp_path):
        raise error
    assert {path.name for path in tmp_path.iterdir()} == names


# --- what does not fit


def test_a_full_disk_changes_no_batch(
    expected: list[FeatureBatch], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    n_writes, write_all = 0, feature_store.write_all

    def limited(handle: int, data: bytes) -> None:
        nonlocal n_writes
        n_writes += 1
        if n_writes > 5:  # two slots, and the features of the third
            raise OSError(errno.ENOSPC, "No space left on device")
        write_all(handle, data)

    monkeypatch.setattr(feature_store, "write_all", limited)
    network = counting_network()
    with open_source(None, network) as source:
        n_before = network.n_seen
        assert all_same(read(source), expected)
    assert n_writes == 6
    pairs = [(index, (epoch + (2 * step + row) // 3) % 2) for epoch, step, row, index in shown(6)]
    kept = list(dict.fromkeys(pairs))[:2]
    assert network.n_seen - n_before == 2 + sum(pair not in kept for pair in pairs)
    assert caplog.text.count("feature cache stopped") == 1
    assert "No space left on device" in caplog.text


@pytest.mark.parametrize("factor", [1e7, float("nan"), float("inf")], ids=["large", "nan", "inf"])
def test_features_beyond_float16_are_not_kept(factor: float, caplog: pytest.LogCaptureFixture) -> None:
    network = counting_network()
    network.factor = factor
    with open_source(None, network) as source:
        batches = maker(network)
        for n_seen in (1, 2):
            n_before = network.n_seen
            batch = source.batch([1], epoch=0, step=0)
            assert network.n_seen - n_before == 1, n_seen
            with torch.no_grad():
                exact = network.features_before(batches.batch([1], epoch=0, step=1).images, "box")
            for given, wanted in zip(batch.features, exact, strict=True):
                torch.testing.assert_close(given, wanted, rtol=0, atol=0, equal_nan=True)
    if factor == 1e7:
        assert max(float(feature.abs().max()) for feature in exact) > 65504
    assert caplog.text.count("exceed float16") == 1


def test_the_largest_number_of_float16_is_kept() -> None:
    network = counting_network()
    network.features_before = lambda images, layers: (torch.full((1, 2, 3, 4), 65504.0),)  # type: ignore[method-assign]
    with open_source(None, network) as source:
        for _ in range(2):
            assert (source.batch([0], epoch=0, step=0).features[0] == 65504).all()


# --- when nothing is kept


@pytest.mark.parametrize(
    ("layers", "config"),
    [
        pytest.param("all", CONFIG, id="nothing frozen"),
        pytest.param("box", FeatureCacheConfig(enabled=False), id="switched off"),
        pytest.param("box", FeatureCacheConfig(max_gb=1e-9), id="no room"),
    ],
)
def test_without_a_cache_each_step_has_pictures_of_its_own(
    layers: str, config: FeatureCacheConfig, tmp_path: Path
) -> None:
    network = frozen_network()
    with open_source(tmp_path, network, layers=layers, config=config) as source:
        assert isinstance(source, RecomputedFeatures)
        batch = source.batch([2, 0], epoch=7, step=3)
    pictures = maker(network).batch([2, 0], epoch=7, step=3)
    with torch.no_grad():
        features = network.features_before(pictures.images, layers)
    assert same(batch, FeatureBatch(features, pictures.targets))
    assert list(tmp_path.iterdir()) == []


def test_with_all_layers_the_features_are_the_pictures() -> None:
    network = frozen_network()
    with open_source(None, network, layers="all") as source:
        (images,) = source.batch([0, 1], epoch=0, step=0).features
    assert torch.equal(images, maker(network).batch([0, 1], epoch=0, step=0).images)


def test_after_the_deadline_nothing_is_prepared(tmp_path: Path) -> None:
    network, clock = counting_network(), FakeClock()
    deadline = Deadline(5, clock)
    clock.advance(5)
    source = open_source(tmp_path, network, deadline=deadline)
    assert isinstance(source, RecomputedFeatures)
    assert network.n_seen == 0
    assert list(tmp_path.iterdir()) == []


def test_a_cache_is_a_cache(tmp_path: Path) -> None:
    with open_source(tmp_path) as source:
        assert isinstance(source, FeatureCache)
        assert source.n_views == 2
