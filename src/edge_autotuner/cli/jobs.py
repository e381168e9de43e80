"""`edge-autotuner jobs`: training, evaluation and export of a run at a service, and the jobs that do it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_autotuner.cli.loading import connected
from edge_autotuner.cli.options import CaFile, ConfigFile, Folder, Setting, TokenFile, Url
from edge_autotuner.cli.progress_bar import ProgressBar
from edge_autotuner.cli.saying import say
from edge_autotuner.cli.settings import merge_settings
from edge_autotuner.core.clock import parse_duration_s
from edge_autotuner.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from edge_autotuner.client import JobsClient
    from edge_autotuner.wire.job_messages import JobEvent, JobInfo

app = typer.Typer(help="Train at a service, and manage its tuning jobs.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="ID of the job, as shown by `jobs list`.", show_default=False)]
State = Annotated[
    str | None,
    typer.Option(help="Show only jobs in this state: queued, running, done, failed or cancelled.", show_default=False),
]

_STATES = ("queued", "running", "done", "failed", "cancelled")
_SAVED = "settings.yaml"


@app.command()
def tune(
    folder: Folder,
    url: Url,
    camera: Annotated[
        str | None, typer.Option(help="Camera to register the candidate for. Default: name of the run's folder.")
    ] = None,
    config: ConfigFile = None,
    setting: Setting = None,
    deadline: Annotated[str | None, typer.Option(help="Time limit, e.g. 2h.")] = None,
    max_upload_kbps: Annotated[
        float | None, typer.Option(help="Upload limit in kilobits per second. Default: no limit.")
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "Accept only candidates signed with this public key (text or file); may be repeated. Default: "
                "check hashes only."
            ),
            show_default=False,
        ),
    ] = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Train, evaluate and export an annotated run at a service, and download the results.

    Ctrl-C leaves the job running; repeat the command to follow it again.
    """
    from edge_autotuner.cli.verdict import describe_evaluation
    from edge_autotuner.deployment.signing import trusted_keys
    from edge_autotuner.pipeline.evaluation_result import read_evaluation
    from edge_autotuner.pipeline.run_folder import RunFolder
    from edge_autotuner.pipeline.session import Session

    trusted = trusted_keys(trust or ())
    run = RunFolder(folder)
    resolved = merge_settings(config or folder / _SAVED, setting, {}) if config or setting else run.settings()
    with connected(url, token_file, ca_file, max_upload_kbps=max_upload_kbps) as connection:
        from edge_autotuner.client import JobsClient, RegistryClient
        from edge_autotuner.deployment.deployed import registry_id
        from edge_autotuner.pipeline.remote_training.training import TrainingService, tune_at_service

        service = TrainingService(
            JobsClient(connection),
            RegistryClient(connection),
            camera or folder.resolve().name,
            trusted=trusted,
            parent_of=registry_id,
            deadline_s=parse_duration_s(deadline) if deadline is not None else None,
        )
        job = tune_at_service(Session.open(folder, resolved, progress=ProgressBar()), service)
    if job is None:
        say("the results of this job were already downloaded", err=True)
    say(describe_evaluation(read_evaluation(run.evaluation)))
    say(f"report: {run.report}\nbundle: {run.path / 'bundle'}")


@app.command("list")
def list_jobs(
    url: Url,
    camera: Annotated[str | None, typer.Option(help="Show only jobs of this camera.", show_default=False)] = None,
    state: State = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Show at most N jobs.")] = 20,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """List your jobs, newest first; with an administrator's token, those of all clients."""
    if state is not None and state not in _STATES:
        raise ConfigError(f"--state: expected one of {', '.join(_STATES)}, got '{state}'")
    with _jobs_at(url, token_file, ca_file) as client:
        found = client.jobs(camera=camera, state=state, limit=limit)  # type: ignore[arg-type]
    for job in found:
        say(_line(job))


@app.command()
def show(job_id: JobId, url: Url, token_file: TokenFile = None, ca_file: CaFile = None) -> None:
    """Show a job and its events."""
    with _jobs_at(url, token_file, ca_file) as client:
        job, events = client.job(job_id), client.events(job_id)
    say(_line(job))
    for event in events:
        say(_event_line(event))
    say(_verdict(job))


@app.command()
def follow(job_id: JobId, url: Url, token_file: TokenFile = None, ca_file: CaFile = None) -> None:
    """Follow a job until it ends; Ctrl-C leaves it running."""
    with _jobs_at(url, token_file, ca_file) as client:
        from edge_autotuner.pipeline.remote_training.training import ProgressOfJob

        job = client.wait(client.job(job_id), ProgressOfJob(ProgressBar()).tell)
    say(_verdict(job))
    if job.state != "done":
        raise TrainingError(f"the job {job.id} is {job.state}")


@app.command()
def cancel(job_id: JobId, url: Url, token_file: TokenFile = None, ca_file: CaFile = None) -> None:
    """Stop a job and discard its results."""
    with _jobs_at(url, token_file, ca_file) as client:
        job = client.cancel(job_id)
    say(f"{job.id} is {'being cancelled' if job.is_cancelling else job.state}")


@app.command()
def fetch(
    job_id: JobId,
    url: Url,
    output: Annotated[Path, typer.Option(help="Folder for the files; created if missing.")] = Path("job"),
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Download and verify the files of a job; `jobs tune RUN` downloads them into a run instead."""
    from edge_autotuner.storage.atomic import make_folder
    from edge_autotuner.storage.outputs import check_output_folder
    from edge_autotuner.storage.own_folders import MARK_NAME, mark_if_empty

    reads = {"the token's file": token_file, "the authorities' file": ca_file}
    check_output_folder(output, option="--output", reads=reads, own={MARK_NAME})
    with _jobs_at(url, token_file, ca_file) as client:
        job = client.job(job_id)
        make_folder(output)
        mark_if_empty(output)
        files = client.fetch(job, output, progress=ProgressBar())
    for path in files.values():
        say(path)


@contextmanager
def _jobs_at(url: str, token_file: Path | None, ca_file: Path | None) -> Iterator[JobsClient]:
    with connected(url, token_file, ca_file) as connection:
        from edge_autotuner.client import JobsClient

        yield JobsClient(connection)


def _line(job: JobInfo) -> str:
    asked = job.created_at.strftime("%Y-%m-%d %H:%M UTC")
    now = job.progress
    steps = f"{now.done}/{now.total}" if now.total is not None else f"{now.done}"
    doing = f" ({now.task} {steps})" if job.state == "running" and now.task else ""
    return f"{job.id}  {job.camera}  {job.state}{doing}  asked {asked} by {job.client}"


def _event_line(event: JobEvent) -> str:
    at = event.at.strftime("%Y-%m-%d %H:%M:%S")
    values = ", ".join(f"{name} {_short(value)}" for name, value in event.values.items())
    return f"  {at}  {event.kind} {event.name}" + "".join(f": {text}" for text in (event.text, values) if text)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _verdict(job: JobInfo) -> str:
    """Return in one line what came of a job."""
    if job.error is not None:
        return f"{job.error.kind}: {job.error.detail}"
    if job.result is None:
        return f"{job.id} is {job.state}"
    known_as = f"; candidate {job.result.candidate} of {job.camera}" if job.result.candidate else ""
    return f"{job.result.reason}{known_as}"
