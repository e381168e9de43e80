"""Where detections go: lines of JSON, an MQTT broker as Home Assistant expects it, a webhook."""

from edge_autotuner.node.outputs.outputs import DetectionOutput, Outputs
from edge_autotuner.node.outputs.report import DetectionReport
from edge_autotuner.node.outputs.tally import OutputStatus

__all__ = ["DetectionOutput", "DetectionReport", "OutputStatus", "Outputs"]
