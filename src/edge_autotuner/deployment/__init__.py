"""Bundles: exporting a model, signing and deploying it, and running it on an edge device without torch."""

from edge_autotuner.deployment.bundle import BundleFile, ModelBundle, read_bundle, write_bundle
from edge_autotuner.deployment.deployed import (
    bundle_folder,
    deploy,
    deployed_bundle,
    install_bundle,
    new_bundle_folder,
)
from edge_autotuner.deployment.export import ExportCheck, check_export, export_onnx
from edge_autotuner.deployment.runtime import load_edge_detector

__all__ = [
    "BundleFile",
    "ExportCheck",
    "ModelBundle",
    "bundle_folder",
    "check_export",
    "deploy",
    "deployed_bundle",
    "export_onnx",
    "install_bundle",
    "load_edge_detector",
    "new_bundle_folder",
    "read_bundle",
    "write_bundle",
]
