"""Settings of the connection to a service, such as the one that lends its teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from edge_autotuner.config.base import FrozenConfig, Seconds

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class ServiceConfig(FrozenConfig):
    """Where the service is, how this side proves who it is, and how patient and how thrifty it is.

    A token is never a setting: settings are saved beside every run.
    """

    url: str | None = Field(None, description="Address of the service, such as https://teacher.example:8443.")
    token_file: Path | None = Field(
        None, description="File that holds the token; read again for each request, so a new one takes effect at once."
    )
    token_env: str = Field(
        "EDGE_AUTOTUNER_TOKEN",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Environment variable that holds the token where there is no token_file.",
    )
    ca_file: Path | None = Field(
        None, description="PEM file of the only authorities that may vouch for the service; null: the system's."
    )
    client_cert: Path | None = Field(None, description="PEM file of this side's own certificate, if it needs one.")
    client_key: Path | None = Field(None, description="Its private key; null: it is in the same file.")
    allow_http: bool = Field(
        False, description="Allow plain http to another machine: anybody on the way sees pictures and token."
    )
    connect_timeout_s: Seconds = Field(10.0, gt=0, description="Longest wait for a connection.")
    read_timeout_s: Seconds = Field(60.0, gt=0, description="Longest silence of the service.")
    request_timeout_s: Seconds = Field(
        300.0, gt=0, description="Longest time for one request, without the waits that max_upload_kbps asks for."
    )
    max_attempts: int = Field(
        10, ge=1, le=100, description="How often a request is tried while the service does not answer or is busy."
    )
    first_retry_s: Seconds = Field(
        0.5, gt=0, description="Upper end of the random wait before the second attempt; doubles each time."
    )
    longest_retry_s: Seconds = Field(
        60.0, gt=0, description="Longest wait between two attempts; a service that asks for more is given up for now."
    )
    max_upload_kbps: float | None = Field(
        None, gt=0, le=1e9, description="Most kilobits per second that are sent to the service; null: no limit."
    )
    picture_format: Literal["png", "webp", "jpg"] = Field(
        "png", description="How pictures travel: png and webp (lossless) change no pixel, jpg does."
    )
    jpeg_quality: int = Field(90, ge=1, le=100, description="Quality of jpg pictures.")
    send: Literal["full resolution", "input size"] = Field(
        "full resolution",
        description="full resolution: each view as it is; input size: larger views are shrunk to the teacher's input "
        "before they travel.",
    )
    max_batch: int = Field(8, ge=1, le=64, description="Most pictures in one request.")

    def shaping_labels(self) -> dict[str, object]:
        """Return the settings that the labels depend on: where they come from, and when, is not one."""
        if self.picture_format == "jpg":
            return {"send": self.send, "jpeg_quality": self.jpeg_quality}
        return {"send": self.send}  # without loss, pictures are the same in any format

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii():
            raise ValueError("expected http://HOST[:PORT] or https://HOST[:PORT]")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a login does not belong into the address; use token_file")
        if parts.query or parts.fragment or any(character.isspace() for character in url):
            raise ValueError("expected an address without ?, # and spaces")
        if parts.port == 0:
            raise ValueError("0 is not a port")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _is_not_overheard(self) -> ServiceConfig:
        parts = urlsplit(self.url or "")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not self.allow_http:
            raise ValueError(
                "url is plain http: anybody on the way sees pictures and token; use https or set allow_http"
            )
        return self
