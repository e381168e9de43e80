"""How long an epoch takes by what is frozen, a picture beside the plain way, and a whole run; each in one process.

Numbers of one piece belong together: they are measured in turns, or at least within the same minutes.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.scenes import PETS
from benchmarks.specialization.accuracy import describe
from benchmarks.specialization.piece import Piece
from benchmarks.specialization.plain import PlainTraining
from benchmarks.specialization.trial import FEMTO, NANO, QUICK_SETTINGS, Trial
from benchmarks.specialization.workplace import Workplace
from edge_autotuner.config import RunConfig, TrainingConfig
from edge_autotuner.core.types import SizeWH
from edge_autotuner.dataset import DatasetStore
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.models.trainable import TrainableNetwork
from edge_autotuner.models.yolox import Yolox
from edge_autotuner.pipeline.edge_model import open_edge_model
from edge_autotuner.pipeline.loop import TRAINING
from edge_autotuner.pipeline.training_samples import make_sample
from edge_autotuner.pipeline.training_stage import split_for_validation
from edge_autotuner.training import TrainingSample, canvas_size, tune
from edge_autotuner.training.device import has_mixed_precision
from edge_autotuner.training.microbatches import MICROBATCH_SIZE

_TRIAL = Trial("speed", PETS)
_CUDA_TRIAL = Trial("speed-cuda", PETS, settings={"training.device": "cuda"})
_ROOT = Path(__file__).resolve().parent.parent.parent
N_PICTURES, N_ROUNDS, BATCH = 96, 3, 8
"""Of the comparison with the plain way."""

FROZEN = {
    "all": "nothing",
    "box recomputed": "backbone and pyramid; the detection head is trained",
    "box cached": "backbone and pyramid, their output read from disk; the detection head is trained",
}


def pieces() -> list[Piece]:
    """Return the measurements of time and memory; that of a CUDA device where there is one."""
    cuda = [Piece("speed/cuda", _cuda, (_CUDA_TRIAL,), (_CUDA_TRIAL,))] if torch.cuda.is_available() else []
    return [
        Piece("speed/epochs", _epochs, (_TRIAL,)),
        Piece("speed/picture", _pictures, (_TRIAL,)),
        Piece("speed/run-with-defaults", _whole_run({})),
        Piece("speed/run-with-second-model", _whole_run({"edge_model": NANO, "annotation.teacher": FEMTO})),
        *cuda,
    ]


def _epochs(place: Workplace) -> dict[str, Any]:
    """Return the seconds of epochs over all pictures of PETS; with the cache, the first views fill it."""
    network, samples, config = _material(place)
    n_steps = -(-len(samples) // config.training.batch_size)
    n_views = config.training.features.n_views

    def timed(layers: str, n_epochs: int, *, cached: bool) -> dict[str, Any]:
        features = config.training.features.model_copy(update={"enabled": cached})
        training = config.training.model_copy(
            update={
                "layers": layers,
                "n_epochs": n_epochs,
                "features": features,
                "patience_epochs": n_epochs,
                "max_steps_per_epoch": n_steps,
                "min_steps_per_epoch": 1,
            }
        )
        return _epoch_seconds(network, samples, training, config)

    return {
        "n_pictures": len(samples),
        "n_views": n_views,
        "frozen": FROZEN,
        "modes": {
            "all": timed("all", 2, cached=False),
            "box recomputed": timed("box", 2, cached=False),
            "box cached": timed("box", n_views + 2, cached=True),
        },
    }


def seconds_per_epoch(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds of an epoch of each mode: the fastest one, of the cache once all its views are there.

    Args:
        found: what `speed/epochs` measured.
    """
    first = {"box cached": found["n_views"]}
    return {name: min(mode["seconds"][first.get(name, 0) :]) for name, mode in found["modes"].items()}


def _epoch_seconds(
    network: TrainableNetwork, samples: Sequence[TrainingSample], training: TrainingConfig, config: RunConfig
) -> dict[str, Any]:
    result = tune(network, samples, training, input_size_wh=config.input_size, validate=lambda _: 0.0)
    return {
        "seconds": [record.seconds for record in result.history if record.epoch > 0],
        "n_parameters": result.n_parameters,
    }


def _pictures(place: Workplace) -> dict[str, Any]:
    """Return milliseconds per picture of our training, of the plain way, and of the network alone, all layers."""
    return compare_pictures(*_material(place), quick=place.quick)


def compare_pictures(
    network: TrainableNetwork, samples: Sequence[TrainingSample], config: RunConfig, *, quick: bool
) -> dict[str, Any]:
    """Return milliseconds per picture of three ways, in turns."""
    assert isinstance(network, Yolox), "the plain way is written for YOLOX"
    samples = samples[: min(N_PICTURES, len(samples) // BATCH * BATCH)]
    n_rounds = 1 if quick else N_ROUNDS
    training = config.training.model_copy(
        update={
            "layers": "all",
            "n_epochs": 2,  # the first one decodes the pictures
            "batch_size": BATCH,
            "max_steps_per_epoch": len(samples) // BATCH,
            "min_steps_per_epoch": 1,
        }
    )
    canvas_wh = canvas_size(samples[0].size_wh, config.input_size)
    side, last = config.input_size[0], torch.channels_last
    is_mixed = has_mixed_precision("auto", torch.device("cpu"), is_stable=network.is_stable_in_bfloat16)
    plain = PlainTraining(network, samples, config.input_size, batch_size=BATCH)
    plain.run_epoch()
    ours_ms, plain_ms, same_ms = [], [], []
    for _ in range(n_rounds):
        same_ms.append(_network_ms(network, canvas_wh, last, 1, n_pictures=MICROBATCH_SIZE, is_mixed=is_mixed))
        ours_ms.append(_epoch_seconds(network, samples, training, config)["seconds"][-1] / len(samples) * 1000)
        plain.run_epoch()
        plain_ms.append(plain.seconds[-1] / len(samples) * 1000)
    return {
        "n_pictures": len(samples),
        "canvas_wh": list(canvas_wh),
        "is_mixed": is_mixed,
        "ours_ms": ours_ms,
        "plain_ms": plain_ms,
        "same_network_ms": same_ms,
        "network_ms": {
            "contiguous": _network_ms(network, (side, side), torch.contiguous_format, n_rounds),
            "channels last": _network_ms(network, (side, side), last, n_rounds),
        },
    }


def _network_ms(
    network: Yolox,
    size_wh: SizeWH,
    memory_format: torch.memory_format,
    n_rounds: int,
    *,
    n_pictures: int = BATCH,
    is_mixed: bool = False,
) -> float:
    """Return milliseconds per picture of a pass forward and back, without loss, pictures or optimizer."""
    network = network.to(memory_format=memory_format).train()  # type: ignore[call-overload]
    shape = n_pictures, 3, size_wh[1], size_wh[0]
    images = torch.rand(shape).mul(255).contiguous(memory_format=memory_format)

    def forward_and_back() -> None:
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_mixed):
            outputs = network(images)
        outputs.float().sum().backward()

    forward_and_back()
    n_passes = n_rounds * max(1, 2 * BATCH // n_pictures)
    return statistics.median(_seconds(forward_and_back) for _ in range(n_passes)) / n_pictures * 1000


def _cuda(place: Workplace) -> dict[str, Any]:
    """Return what a CUDA device trains per second, validation left out, and how good the result is."""
    done = place.carry_out(_CUDA_TRIAL)
    training = done.folder.result(TRAINING, before="the benchmark")
    seconds = sum(epoch.seconds for epoch in training.history)
    return {
        **describe(done, place),
        "device": torch.cuda.get_device_name(),
        "images_per_s": training.n_steps * done.config.training.batch_size / seconds,
    }


def _material(place: Workplace) -> tuple[TrainableNetwork, list[TrainingSample], RunConfig]:
    """Return network, training samples and settings of PETS."""
    folder, config = place.prepared(_TRIAL), place.config(_TRIAL)
    annotated = folder.require("annotation", before="the benchmark")
    store = DatasetStore.open(folder.dataset)
    labelled, _ = split_for_validation(store, annotated.fingerprint, config)
    samples = [make_sample(store, record, annotation, config.annotation) for record, annotation in labelled]
    return open_edge_model(config).network, samples, config


def _whole_run(settings: dict[str, Any]) -> Callable[[Workplace], dict[str, Any]]:
    def measure(place: Workplace) -> dict[str, Any]:
        output = place.work / "whole-run"
        shutil.rmtree(output, ignore_errors=True)
        shorter = QUICK_SETTINGS if place.quick else {}
        return {"settings": settings, **_in_a_process(place, output, {**settings, **shorter})}

    return measure


def _in_a_process(place: Workplace, output: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what `whole_run` prints.

    Raises:
        EdgeAutotunerError: the process failed.
    """
    values = json.dumps({**settings, "models_dir": str(place.data.resolve() / "models")})
    video = place.data.resolve() / PETS.source
    command = [sys.executable, "-m", "benchmarks.specialization.whole_run", str(video), str(output.resolve()), values]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT)
    if done.returncode != 0:
        raise EdgeAutotunerError(f"the run failed: {done.stderr.strip().splitlines()[-1]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _seconds(run: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    run()
    return time.perf_counter() - began_s
