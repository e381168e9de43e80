"""Downloads one file over HTTPS: bounded, verified, and atomic."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from edge_autotuner.core.link_failures import connection_failure, redirect_words, without_query
from edge_autotuner.core.printable import one_line
from edge_autotuner.core.progress import Progress
from edge_autotuner.errors import WeightsError
from edge_autotuner.storage.atomic import TEMPORARY_SUFFIX, storage_errors, sync_folder

MAX_DOWNLOAD_BYTES = 256 << 20
_TIMEOUT_S = 30.0
_BLOCK_BYTES = 1 << 18


class DownloadError(WeightsError):
    """A download did not yield the expected file; nothing was kept."""


def download(
    address: str,
    target: Path,
    *,
    sha256: str | None,
    max_bytes: int,
    progress: Progress,
    https_only: bool = True,
    timeout_s: float = _TIMEOUT_S,
) -> str:
    """Download a file, and return its hash.

    An existing target stays until the new file is verified; its folder exists. `sha256` None accepts any content.
    `https_only` also refuses a redirect to plain HTTP.

    Raises:
        DownloadError: offline, refused, truncated, too large, or of another hash.
        StorageError: the target cannot be written.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        with _open(address, https_only=https_only, timeout_s=timeout_s) as response:
            got = _store(response, temporary, max_bytes, progress)
        if sha256 is not None and got != sha256:
            raise DownloadError(f"{without_query(address)} is not the expected file: sha256 {got} instead of {sha256}")
        with storage_errors(target):
            os.replace(temporary, target)
            sync_folder(target.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    return got


class _RedirectWithinScheme(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from HTTPS to another scheme."""

    def __init__(self, *, https_only: bool) -> None:
        self._https_only = https_only

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:  # noqa: ANN401 (signature of the library)
        _check_scheme(newurl, https_only=self._https_only)
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:  # noqa: ANN401 (signature of the library)
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except urllib.error.HTTPError:  # holds it, and is closed by who catches it
            raise
        except BaseException:
            fp.close()  # the library closes it only when a redirect is followed
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _open(address: str, *, https_only: bool, timeout_s: float) -> http.client.HTTPResponse:
    _check_scheme(address, https_only=https_only)
    shown = without_query(address)
    opener = urllib.request.build_opener(_RedirectWithinScheme(https_only=https_only))
    request = urllib.request.Request(address, headers={"User-Agent": "edge-autotuner", "Accept-Encoding": "identity"})
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=timeout_s)
    except urllib.error.HTTPError as exc:
        with exc:
            raise DownloadError(f"{shown} answered {_answer(exc, address)}") from exc
    except (http.client.InvalidURL, ValueError) as exc:
        raise DownloadError(f"{shown} is not a valid URL, or redirects to one that is not") from exc
    except (OSError, http.client.HTTPException) as exc:  # urllib's own error is an OSError
        raise DownloadError(f"{shown} is unreachable ({connection_failure(exc)})") from exc
    return response


def _answer(error: urllib.error.HTTPError, asked: str) -> str:
    """Return the reason of a refusal; the library's own text for a redirect not followed does not help."""
    if not 300 <= error.code < 400:
        return f"{error.code} {one_line(str(error.reason))}"
    location = error.headers.get("Location")
    return f"{error.code}: {redirect_words(location, error.url or asked)}" + (
        ", in a loop or too often" * bool(location)
    )


def _check_scheme(address: str, *, https_only: bool) -> None:
    scheme = urllib.parse.urlsplit(address).scheme
    if scheme != "https" and (https_only or scheme != "http"):
        raise DownloadError(f"{without_query(address)} is not an https address")


def _store(response: http.client.HTTPResponse, path: Path, max_bytes: int, progress: Progress) -> str:
    """Write the body to a file on disk and return its hash."""
    announced = response.headers.get("Content-Length", "")
    n_expected = int(announced) if announced.isdigit() else None
    if n_expected is not None and n_expected > max_bytes:
        raise DownloadError(f"{without_query(response.url)} has {n_expected} bytes, more than the allowed {max_bytes}")
    progress.start("download", n_expected)
    with storage_errors(path):
        file = path.open("wb")
    try:
        with file:
            n_bytes, digest = _copy(response, file, max_bytes, progress)
            with storage_errors(path):
                file.flush()
                os.fsync(file.fileno())
    finally:
        progress.finish()
    if n_expected is not None and n_bytes != n_expected:
        raise DownloadError(
            f"{without_query(response.url)} was cut off after {n_bytes} of {n_expected} bytes; try again"
        )
    return digest


def _copy(response: http.client.HTTPResponse, file: IO[bytes], max_bytes: int, progress: Progress) -> tuple[int, str]:
    """Copy the body, and return the number of bytes and their hash."""
    digest, n_bytes = hashlib.sha256(), 0
    while block := _read_block(response):
        n_bytes += len(block)
        if n_bytes > max_bytes:
            raise DownloadError(f"{without_query(response.url)} has more than the allowed {max_bytes} bytes")
        digest.update(block)
        with storage_errors(Path(file.name)):
            file.write(block)
        progress.advance(len(block))
    return n_bytes, digest.hexdigest()


def _read_block(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as exc:
        raise DownloadError(
            f"{without_query(response.url)} was interrupted ({connection_failure(exc)}); try again"
        ) from exc
