"""Runs the service: listens, serves, and shuts down in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping

import uvicorn

from edge_autotuner.config.server import ServerConfig
from edge_autotuner.core.clock import Clock
from edge_autotuner.core.redaction import redacting_handler
from edge_autotuner.errors import ConfigError
from edge_autotuner.server.annotation.models import ModelLoader
from edge_autotuner.server.app import create_app
from edge_autotuner.server.data_folder import check_data_folder, is_of_service
from edge_autotuner.server.jobs.process import WorkerProcesses, worker_starter
from edge_autotuner.server.services import Services, find_loaders, open_services, trusted_signers
from edge_autotuner.server.slow_clients import noted, patient_protocol
from edge_autotuner.storage import keep_private

logger = logging.getLogger(__name__)

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_LOOPBACK = ("127.", "::1", "localhost")
_BACKLOG = 2048
_KEEP_ALIVE_S = 75


def run_server(
    config: ServerConfig,
    *,
    say: Callable[[str], None],
    loaders: Mapping[str, ModelLoader] | None = None,
    clock: Clock | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish open requests within `drain_s`.

    Args:
        config: all settings.
        say: called with the address of the service once it listens.
        loaders: of models, instead of those of the settings, by the same names.
        clock: of tokens, audit log, registry and contents.

    Raises:
        ConfigError: the address is taken, or the certificates cannot be used.
        EdgeAutotunerError: a model, the data folder or the database cannot be used.
    """
    _log_to_stderr()
    loaders = check_settings(config, loaders)
    keep_private(config.data, is_own=is_of_service, for_group=config.group_access)
    services = open_services(config, loaders=loaders, clock=clock)
    workers = WorkerProcesses(config.jobs.n_workers, worker_starter(config), is_wanted=services.has_jobs)
    services.checks += (workers.problem,)
    try:
        server = _Server(_uvicorn_config(config, create_app(services)), services)
        listener = listen(config.host, config.port)
        scheme = "http" if config.tls is None else "https"
        if config.tls is None and not config.host.startswith(_LOOPBACK):
            logger.warning("no TLS: anyone on the network can read tokens and pictures; set tls, or use a TLS proxy")
        say(f"listening on {scheme}://{_shown(listener)}")
        sys.stdout.flush()
        workers.start()
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.serve(sockets=[listener]))
    finally:
        workers.stop()
        services.close()
    if services.failure is not None:
        raise services.failure


def check_server(config: ServerConfig) -> None:
    """Check that a service with these settings can start: its checks, its address, and every model loaded once.

    Raises:
        EdgeAutotunerError: it could not start, or would end.
    """
    loaders = check_settings(config)
    listen(config.host, config.port).close()
    for load in loaders.values():
        load()


def check_settings(config: ServerConfig, loaders: Mapping[str, ModelLoader] | None = None) -> Mapping[str, ModelLoader]:
    """Check everything that the settings name, without writing; return the loaders of the models.

    Raises:
        EdgeAutotunerError: a model, a key, a certificate or a library is missing, or cannot be used.
    """
    found = loaders or find_loaders(config)
    trusted_signers(config)
    check_data_folder(config)
    _uvicorn_config(config, _nothing)
    return found


async def _nothing(_scope: object, _receive: object, _send: object) -> None:
    """Replace the application where only the settings of the server are checked."""


class _Server(uvicorn.Server):
    """Ends with success after a signal; the original raises the signal again."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services
        services.on_failure = self._stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._services.stop()
        await super().shutdown(sockets)

    def _stop(self) -> None:
        self.should_exit = True


def _uvicorn_config(config: ServerConfig, app: Callable[..., Awaitable[None]]) -> uvicorn.Config:
    tls = config.tls
    result = uvicorn.Config(
        noted(app),
        http=patient_protocol(max_head_s=config.limits.max_head_s, max_unread_s=config.limits.max_unread_s),
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(config.drain_s)),
        limit_concurrency=config.limits.max_connections,
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
        ssl_ca_certs=None if tls is None or tls.client_ca is None else str(tls.client_ca),
        ssl_cert_reqs=_cert_requirement(config),
    )
    try:
        result.load()
    except OSError as exc:  # also ssl.SSLError
        files = (
            [] if tls is None else [str(file) for file in (tls.certificate, tls.key, tls.client_ca) if file is not None]
        )
        raise ConfigError(
            f"tls: the certificates {', '.join(files)} cannot be used: {exc.strerror or exc}; they must be PEM files"
        ) from exc
    return result


def _cert_requirement(config: ServerConfig) -> int:
    needs_one = config.tls is not None and config.tls.client_ca is not None
    return ssl.CERT_REQUIRED if needs_one else ssl.CERT_NONE


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 is any free one. Raises `ConfigError` if the address cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as exc:
        raise ConfigError(f"cannot listen on {host}, port {port}: {exc.strerror or exc}") from exc
    # Connections inherit it. asyncio sets it only where a socket names its protocol; without it, an answer waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _log_to_stderr() -> None:
    """Log plain lines, for a journal."""
    logging.basicConfig(level=logging.WARNING, handlers=[redacting_handler(sys.stderr, _LOG_FORMAT)], force=True)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of forms that are refused
    package = logging.getLogger("edge_autotuner")
    package.setLevel(min(package.level or logging.INFO, logging.INFO))
