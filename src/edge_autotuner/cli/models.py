"""`edge-autotuner models`: which models are known, and fetching them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.cli.saying import say
from edge_autotuner.errors import EdgeAutotunerError
from edge_autotuner.models import KnownModel, find_model, list_models, locate, pull

app = typer.Typer(help="List, show and download known models.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of a known model.")]
ModelsDir = Annotated[Path | None, typer.Option(help="Local mirror of model files.")]


@app.command("list")
def list_all(models_dir: ModelsDir = None) -> None:
    """List known models, and whether their files are on this machine."""
    models = list_models()
    width = max(len(model.name) for model in models)
    for model in models:
        published = f"AP {model.published_ap:.3f}" if model.published_ap is not None else "AP unknown"
        facts = (f"{model.name:<{width}}", f"{model.role:<8}", f"{_size(model):<8}", f"{published:<11}")
        say("  ".join([*facts, "here" if _is_here(model, models_dir) else "not here"]))
        say(f"    {model.summary} ({model.licence})")


@app.command()
def show(name: Name, models_dir: ModelsDir = None) -> None:
    """Show details of one model."""
    model = find_model(name)
    published = model.published_ap if model.published_ap is not None else "unknown"
    lines = [
        f"{model.name}: {model.summary}",
        f"role: {model.role}",
        f"licence: {model.licence}",
        f"input: {_size(model)}",
        f"published AP50:95 on COCO: {published}",
        f"classes: {', '.join(model.labels)}",
    ]
    for file in model.files:
        lines.append(f"file: {file.name}")
        lines.append(f"  address: {file.address or _without_address(model, file.fetched_by)}")
        lines.append(f"  sha256: {file.sha256 or 'recorded at the first download'}")
    lines.append(f"here: {'yes' if _is_here(model, models_dir) else 'no'}")
    say("\n".join(lines))


@app.command("pull")
def pull_one(name: Name, models_dir: ModelsDir = None) -> None:
    """Download a model into the cache, verify it, and print its path."""
    say(pull(name, models_dir=models_dir, progress=ProgressBar()))


def _without_address(model: KnownModel, fetched_by: str | None) -> str:
    if model.is_packaged:
        return "none; included in the package"
    if fetched_by is not None:
        return f"none; run `{fetched_by}` and copy the file into the cache or a mirror"
    return "none; copy it from a mirror"


def _size(model: KnownModel) -> str:
    return "x".join(str(side) for side in model.input_size_wh)


def _is_here(model: KnownModel, models_dir: Path | None) -> bool:
    try:
        locate(model.name, models_dir=models_dir)
    except EdgeAutotunerError:
        return False
    return True
