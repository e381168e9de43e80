"""`edge-autotuner registry`: the models of the cameras at a service, seen and changed from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_autotuner.cli.loading import connected
from edge_autotuner.cli.options import CaFile, TokenFile, Url
from edge_autotuner.cli.saying import say
from edge_autotuner.errors import ServiceRefused

if TYPE_CHECKING:
    from edge_autotuner.client import RegistryClient
    from edge_autotuner.wire.registry_messages import BundleInfo

app = typer.Typer(help="Manage the models of cameras at a service.", no_args_is_help=True)

Camera = Annotated[str, typer.Argument(help="Name of the camera.", show_default=False)]
BundleId = Annotated[str, typer.Argument(help="ID of the bundle, as shown by `registry list`.", show_default=False)]


@app.command()
def cameras(url: Url, token_file: TokenFile = None, ca_file: CaFile = None) -> None:
    """List cameras and their deployed bundles."""
    with _connected(url, token_file, ca_file) as registry:
        found = registry.cameras()
    for camera in found:
        facts = ", ".join(text for text in (camera.place, camera.shows) if text)
        say(f"{camera.camera}  {camera.deployed or '-'}  {facts}".rstrip())


@app.command("list")
def list_bundles(camera: Camera, url: Url, token_file: TokenFile = None, ca_file: CaFile = None) -> None:
    """List the bundles of CAMERA, newest first."""
    with _connected(url, token_file, ca_file) as registry:
        found = registry.bundles(camera)
    for bundle in found:
        say(_line(bundle))


@app.command()
def add(
    camera: Camera,
    bundle: Annotated[
        Path, typer.Argument(help="Folder of a bundle, or of a run (its deployed bundle).", show_default=False)
    ],
    url: Url,
    parent: Annotated[str | None, typer.Option(help="ID of the bundle it was tuned from.")] = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Upload BUNDLE, with its signature if any, as a candidate of CAMERA, which is created if missing."""
    from edge_autotuner.deployment import bundle_folder, read_bundle
    from edge_autotuner.deployment.acceptance import read_signature, signature_to_text
    from edge_autotuner.deployment.bundle import read_description

    whole = read_bundle(bundle_folder(bundle))
    signature = read_signature(whole.folder)
    with _connected(url, token_file, ca_file) as registry:
        if camera not in {known.camera for known in registry.cameras()}:
            registry.put_camera(camera)
        added = registry.publish(
            camera,
            read_description(whole.folder),
            {whole.model.sha256: whole.model_path, whole.weights.sha256: whole.weights_path},
            signature=signature_to_text(signature) if signature is not None else None,
            parent=parent,
        )
    say(f"{added.id}  {added.stage}  {'signed' if signature is not None else 'not signed'}")


@app.command()
def promote(
    camera: Camera, bundle_id: BundleId, url: Url, token_file: TokenFile = None, ca_file: CaFile = None
) -> None:
    """Deploy a bundle on CAMERA."""
    with _connected(url, token_file, ca_file) as registry:
        registry.promote(camera, bundle_id)
    say(f"{camera} will run {bundle_id} when its node next polls")


@app.command()
def rollback(camera: Camera, url: Url, token_file: TokenFile = None, ca_file: CaFile = None) -> None:
    """Deploy the previous bundle of CAMERA."""
    with _connected(url, token_file, ca_file) as registry:
        leaving = {known.camera: known.deployed for known in registry.cameras()}.get(camera)
        if leaving is None:
            raise ServiceRefused(f"camera '{camera}' has no deployed bundle to roll back")
        target = registry.roll_back(camera, leaving=leaving).id
    say(f"{camera} will run {target} instead of {leaving} when its node next polls")


@app.command()
def archive(
    camera: Camera, bundle_id: BundleId, url: Url, token_file: TokenFile = None, ca_file: CaFile = None
) -> None:
    """Archive an unused bundle of CAMERA."""
    with _connected(url, token_file, ca_file) as registry:
        registry.archive(camera, bundle_id)
    say(f"{bundle_id} is archived")


@contextmanager
def _connected(url: str, token_file: Path | None, ca_file: Path | None) -> Iterator[RegistryClient]:
    with connected(url, token_file, ca_file) as connection:
        from edge_autotuner.client import RegistryClient

        yield RegistryClient(connection)


def _line(bundle: BundleInfo) -> str:
    added = bundle.added_at.strftime("%Y-%m-%d %H:%M UTC")
    signed = "signed" if bundle.is_signed else "not signed"
    return f"{bundle.id}  {bundle.stage}  {bundle.name}  {signed}  added {added} by {bundle.added_by}"
