"""Imports all that the processes need, so that those forked afterwards start at once."""

from __future__ import annotations

import contextlib

import jinja2  # noqa: F401
import onnx  # noqa: F401
import torch.onnx

import benchmarks.kills.lives  # noqa: F401
import edge_autotuner.cli.app
import edge_autotuner.cli.edge_screen
import edge_autotuner.node.learning
import edge_autotuner.node.registry_sync
import edge_autotuner.node.worker
import edge_autotuner.pipeline.export_stage
import edge_autotuner.pipeline.remote_training.training
import edge_autotuner.pipeline.report_stage
import edge_autotuner.pipeline.stages
import edge_autotuner.server.jobs.process
import edge_autotuner.server.jobs.tuning
import edge_autotuner.server.process  # noqa: F401

with contextlib.suppress(ImportError):  # torch loads it at the first optimizer; older versions have none
    import torch._dynamo  # noqa: F401
