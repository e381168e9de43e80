"""`edge-autotuner keys`: keys that sign bundles, and the public halves that cameras trust."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_autotuner.cli.saying import say

app = typer.Typer(help="Create keys, and sign and verify bundles.", no_args_is_help=True)

KeyFile = Annotated[Path, typer.Argument(help="Key file.", show_default=False)]
Folder = Annotated[
    Path, typer.Argument(help="Folder of a bundle, or of a run (its deployed bundle).", show_default=False)
]


@app.command()
def new(key: KeyFile) -> None:
    """Create a key pair: KEY is secret, KEY.pub is for the settings of cameras."""
    from edge_autotuner.deployment.signing import create_key, public_path_of
    from edge_autotuner.storage.outputs import check_output_place

    check_output_place(key, option="KEY")
    public = create_key(key).public
    say(f"{key}: signs, keep it secret\n{public_path_of(key)}: verifies\n{public.text}")


@app.command()
def show(key: KeyFile) -> None:
    """Show the public key of either file, as used in settings."""
    from edge_autotuner.deployment.signing import public_half

    public = public_half(key)
    say(f"{public.text}\nfingerprint {public.fingerprint}")


@app.command()
def sign(bundle: Folder, key: KeyFile) -> None:
    """Verify and sign a bundle."""
    from edge_autotuner.deployment.acceptance import sign_bundle
    from edge_autotuner.deployment.deployed import bundle_folder
    from edge_autotuner.deployment.signing import read_signing_key

    signing = read_signing_key(key)
    folder = bundle_folder(bundle)
    sign_bundle(folder, signing)
    say(f"{folder} is signed by {signing.public.fingerprint}")


@app.command()
def verify(
    bundle: Folder,
    trusted: Annotated[
        list[str],
        typer.Option("--trust", help="Trusted public key (text or file); may be repeated.", show_default=False),
    ],
) -> None:
    """Verify a bundle as a camera does: its hashes, and the signature of a trusted key."""
    from edge_autotuner.deployment.acceptance import accept_bundle
    from edge_autotuner.deployment.deployed import bundle_folder
    from edge_autotuner.deployment.signing import trusted_keys

    accepted = accept_bundle(bundle_folder(bundle), trusted_keys(trusted))
    say(f"{accepted.folder} is intact and signed by a trusted key")
