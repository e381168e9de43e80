"""Imports all that a run needs, so that processes forked afterwards start at once."""

from __future__ import annotations

import contextlib

import jinja2  # noqa: F401
import onnx  # noqa: F401
import torch.onnx

import edge_autotuner.cli.app
import edge_autotuner.pipeline.export_stage
import edge_autotuner.pipeline.report_stage
import edge_autotuner.pipeline.stages  # noqa: F401

with contextlib.suppress(ImportError):  # torch loads it at the first optimizer; older versions have none
    import torch._dynamo  # noqa: F401
