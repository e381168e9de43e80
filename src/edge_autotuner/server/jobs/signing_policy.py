"""The signing policy of a service: it signs only what it has trained from a trusted start.

A token with the scope `train` chooses the start of a training, its pictures and its settings. Signing every result
would let that token sign any weights. So a candidate is signed if it was trained here, from a trusted start, and beats
the model before it. A start is trusted if it is a model of the service's own catalogue, or a bundle in the registry
with a signature of a trusted key.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_autotuner.config.server import JobsConfig
from edge_autotuner.deployment.acceptance import signature_to_text
from edge_autotuner.deployment.signing import PublicKey, SigningKey, read_signing_key
from edge_autotuner.errors import ConfigError, WeightsError
from edge_autotuner.models.weights_store import locate
from edge_autotuner.pipeline.edge_weights import model_sha256
from edge_autotuner.server.registry import Registry
from edge_autotuner.wire.job_messages import StartBundle, StartWeights, TuneRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobKeys:
    """The private keys of a service.

    Attributes:
        of_clients: for the jobs of a client, which its token proves.
        of_cameras: for the jobs of a camera whose client has no key.
        others: for all other jobs; None: they are not signed.
    """

    of_clients: Mapping[str, SigningKey] = field(default_factory=dict)
    of_cameras: Mapping[str, SigningKey] = field(default_factory=dict)
    others: SigningKey | None = None

    @classmethod
    def from_config(cls, config: JobsConfig) -> JobKeys:
        """Read the keys.

        Raises:
            ConfigError: a file is no private key, or others may read it.
            MissingDependency: `cryptography` is not installed.
        """
        return cls(
            {client: read_signing_key(path) for client, path in config.client_keys.items()},
            {camera: read_signing_key(path) for camera, path in config.camera_keys.items()},
            None if config.signing_key is None else read_signing_key(config.signing_key),
        )

    def of(self, client: str, camera: str) -> SigningKey | None:
        """Return the key for a job of a client and a camera."""
        return self.of_clients.get(client) or self.of_cameras.get(camera) or self.others

    @property
    def public(self) -> tuple[PublicKey, ...]:
        """Their public halves."""
        keys = [*self.of_clients.values(), *self.of_cameras.values(), *([self.others] if self.others else [])]
        return tuple({key.public.raw: key.public for key in keys}.values())


@dataclass(frozen=True)
class SigningPolicy:
    """Decides which results of a job are signed.

    Attributes:
        trusted: further public keys whose signature makes a start trusted.
    """

    keys: JobKeys = field(default_factory=JobKeys)
    trusted: Sequence[PublicKey] = ()
    models_dir: Path | None = None

    def refusal(self, request: TuneRequest, registry: Registry) -> str | None:
        """Return why the start of a job is not trusted; None if it is."""
        start = request.start
        if isinstance(start, StartWeights):
            if self._is_of_catalogue(start):
                return None
            return f"it starts from weights that are not in the service's catalogue ({start.name})"
        if self._is_signed(start, registry):
            return None
        return "it starts from a bundle without a trusted signature in the registry"

    def signatures(
        self,
        request: TuneRequest,
        *,
        client: str,
        promoted: bool,
        descriptions: Mapping[str, bytes],
        registry: Registry,
    ) -> tuple[dict[str, str], str | None]:
        """Return signatures, and why the candidate has none.

        `descriptions` are those of the bundles that the job made: `candidate`, and `start`, the export of its start.
        The registry has the signed starts.

        Returns:
            Signatures as text, by the names of the descriptions; and the reason, None if there is none.
        """
        key = self.keys.of(client, request.camera)
        if key is None:
            return {}, None
        refusal = self.refusal(request, registry)
        if refusal is not None:
            return {}, refusal
        made_here = {"candidate"} if promoted else set()
        if isinstance(request.start, StartWeights):
            made_here.add("start")  # the service's own export of its own model
        signed = {
            name: signature_to_text(key.sign(content)) for name, content in descriptions.items() if name in made_here
        }
        return signed, None if promoted else "it was not better than the previous model"

    def _is_of_catalogue(self, start: StartWeights) -> bool:
        try:
            return model_sha256(locate(start.name, models_dir=self.models_dir)) == start.sha256
        except (ConfigError, WeightsError, OSError):
            return False

    def _is_signed(self, start: StartBundle, registry: Registry) -> bool:
        description = start.description.encode()
        trusted = (*self.keys.public, *self.trusted)
        return registry.is_signed_by(description, hashlib.sha256(description).hexdigest(), trusted)
