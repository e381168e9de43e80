"""What each stage of a run with defaults costs, of two versions of the package or two settings, in turns.

The same stage of one and then of the other: a slow minute of the machine hits both. Frames of PETS before 500 are
trained on, later ones evaluated, against human boxes, too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_machine
from benchmarks.markdown import table
from benchmarks.scenes import PETS, data_folder
from benchmarks.specialization.staged_run import STAGES
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.storage.atomic import atomic_write_json

RESULTS = Path(__file__).parent.parent / "results" / "cost.json"
_ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Version:
    """What is measured.

    Attributes:
        name: how the table calls it.
        checkout: folder with the package below `src`.
        settings: what differs from the defaults, dotted keys.
    """

    name: str
    checkout: Path = _ROOT
    settings: Mapping[str, Any] = field(default_factory=dict)


def run_cost(versions: tuple[Version, Version], output: Path, *, seed: int) -> dict[str, Any]:
    """Measure all stages of both, in turns; return the seconds, and the accuracy by the human boxes.

    Args:
        versions: the earlier one first.
        output: folder of the runs; what is there is deleted.
        seed: of both trainings.

    Raises:
        EdgeAutotunerError: a stage failed.
    """
    shutil.rmtree(output, ignore_errors=True)
    stages = {
        stage: {version.name: _measure(stage, version, output / version.name, seed) for version in versions}
        for stage in STAGES
    }
    human = {version.name: _human_scores(output / version.name) for version in versions}
    return {"machine": describe_machine(), "seed": seed, "stages": stages, "human": human}


def store(results: Mapping[str, Any]) -> None:
    """Keep the results, for the tables."""
    RESULTS.parent.mkdir(exist_ok=True)
    atomic_write_json(RESULTS, dict(results), indent=2)


def cost_table(results: Mapping[str, Any]) -> str:
    """Return processor seconds of each stage, and their ratio."""
    names = list(results["human"])
    rows = [_row(stage, [of[name]["cpu_s"] for name in names]) for stage, of in results["stages"].items()]
    rows.append(_row("**all**", [total_s(results, name) for name in names]))
    human = [results["human"][name] for name in names]
    rows.append(["AP50 / AP by human boxes", *(f"{one['ap50']:.3f} / {one['ap']:.3f}" for one in human), ""])
    return table(["CPU seconds", *names, "ratio"], rows)


def total_s(results: Mapping[str, Any], name: str) -> float:
    """Return the processor seconds of all stages together."""
    return float(sum(of[name]["cpu_s"] for of in results["stages"].values()))


def _row(what: str, seconds: list[float]) -> list[str]:
    before, after = seconds
    return [what, f"{before:.1f}", f"{after:.1f}", f"{after / before:.2f}" if before >= 0.1 else ""]


def _measure(stage: str, version: Version, output: Path, seed: int) -> dict[str, Any]:
    data = data_folder().resolve()
    settings = {
        **PETS.settings,
        "models_dir": str(data / "models"),
        "evaluation.ground_truth": str(data / PETS.ground_truth),
        "training.seed": seed,
        **version.settings,
    }
    script = Path(__file__).with_name("staged_run.py")
    command = [sys.executable, str(script), stage, str(data / PETS.source), str(output.resolve()), json.dumps(settings)]
    environment = os.environ | {"PYTHONPATH": str(version.checkout.resolve() / "src")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise EdgeAutotunerError(f"{version.name}, {stage}: {done.stderr.strip().splitlines()[-1]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if Path(measured.pop("source")).parents[1] != version.checkout.resolve():
        raise EdgeAutotunerError(f"{version.name}: the package that was measured is not that of {version.checkout}")
    return measured


def _human_scores(output: Path) -> dict[str, float]:
    """Return AP of people, who alone have human boxes here, of the specialized model."""
    comparison = json.loads((output / "evaluation.json").read_text(encoding="utf-8"))["comparison"]
    of_person = comparison["human"]["specialized edge"]["per_class"]["person"]
    return {"ap50": of_person["ap50"], "ap": of_person["ap"]}
