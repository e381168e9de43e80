"""`/v1/jobs`: tuning jobs, run by the service on data that clients have uploaded."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any
from weakref import WeakValueDictionary

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from edge_autotuner.server.access import Caller, caller_with
from edge_autotuner.server.bodies import json_body
from edge_autotuner.server.jobs.store import JobStore
from edge_autotuner.server.routers.documented import takes
from edge_autotuner.wire.job_messages import JobEvents, JobInfo, JobList, JobState, TuneRequest

router = APIRouter(prefix="/jobs", tags=["jobs"])

_CHECKS = CapacityLimiter(2)  # requests that are checked at the same time; others wait without a thread
_turns: WeakValueDictionary[str, asyncio.Lock] = (
    WeakValueDictionary()
)  # one request of each client at a time, so that none blocks the others
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
JobId = Annotated[str, Path(pattern=_NAME, description="ID of the job.")]
Trainer = Annotated[Caller, Depends(caller_with("train"))]
Tune = Annotated[TuneRequest, json_body(TuneRequest, caller_with("train"))]

_THERE: dict[int | str, dict[str, Any]] = {
    200: {"model": JobInfo, "description": "The job exists already."},
    201: {"model": JobInfo, "description": "The job is queued."},
}
_NO_NEWS: dict[int | str, dict[str, Any]] = {204: {"description": "The job's revision is still `after`."}}


def _jobs(request: Request) -> JobStore:
    found: JobStore = request.app.state.services.jobs
    return found


Jobs = Annotated[JobStore, Depends(_jobs)]


@router.post("/tune", status_code=201, responses=_THERE, openapi_extra=takes(TuneRequest))
async def create_tuning_job(tune: Tune, jobs: Jobs, caller: Trainer, response: Response) -> JobInfo:
    """Create a job: training, evaluation and export on uploaded data; the same request again finds the same job."""
    turn = _turns.setdefault(caller.client, asyncio.Lock())
    async with turn:
        info, is_new = await to_thread.run_sync(partial(jobs.create, tune, client=caller.client), limiter=_CHECKS)
    response.status_code = 201 if is_new else 200
    return info


@router.get("")
async def list_jobs(
    jobs: Jobs,
    caller: Trainer,
    camera: Annotated[str | None, Query(pattern=_NAME)] = None,
    state: JobState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> JobList:
    """Return the newest jobs of the caller, or of all clients for an administrator."""
    return JobList(jobs=tuple(await run_in_threadpool(jobs.list, caller, camera=camera, state=state, limit=limit)))


@router.get("/{job_id}", response_model=JobInfo, responses=_NO_NEWS)
async def get_job(
    job_id: JobId,
    jobs: Jobs,
    caller: Trainer,
    after: Annotated[int | None, Query(ge=0, le=1 << 53, description="Last known revision.")] = None,
    wait_s: Annotated[float, Query(ge=0, le=60, description="Maximum wait for a new revision.")] = 0.0,
) -> JobInfo | Response:
    """Return a job, once its revision differs from `after`."""
    found = await jobs.wait(job_id, caller, after=after, wait_s=wait_s)
    return found if found is not None else Response(status_code=204)


@router.get("/{job_id}/events")
async def list_events(
    job_id: JobId,
    jobs: Jobs,
    caller: Trainer,
    after: Annotated[int, Query(ge=0, le=1 << 31, description="Position of the last known event.")] = 0,
) -> JobEvents:
    """Return the next events of a job, oldest first; repeat the request after the last of them for more."""
    return await run_in_threadpool(jobs.events, job_id, caller, after=after)


@router.post("/{job_id}/cancel")
async def cancel_job(job_id: JobId, jobs: Jobs, caller: Trainer) -> JobInfo:
    """Cancel a job; an ended one does not change."""
    return await run_in_threadpool(jobs.cancel, job_id, caller)
