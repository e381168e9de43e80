"""An RTSP camera for tests: a ball that bounces before a checked wall, as H.264, from GStreamer's RTSP server.

Runs as a process of its own under the interpreter of the operating system, which has the bindings
(`packages.txt` lists the Debian packages). Prints "ready PORT" when it can be connected to.
"""

from __future__ import annotations

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  (the versions must be chosen before)

_ROLE = "viewer"


def main() -> None:
    """Serve until killed."""
    options = _read_options()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(options.port))
    factory = _make_factory(options)
    if options.user:
        _require_login(server, factory, options)
    server.get_mount_points().add_factory(options.path, factory)
    if not server.attach(None):
        sys.exit(f"port {options.port} is not free")
    print(f"ready {server.get_bound_port()}", flush=True)
    GLib.MainLoop().run()


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for any free one")
    parser.add_argument("--path", default="/cam")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--rate", type=int, default=20, help="pictures per second, and between two complete ones")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--login", choices=["basic", "digest"], default="basic")
    return parser.parse_args()


def _make_factory(options: argparse.Namespace) -> GstRtspServer.RTSPMediaFactory:
    width, height = options.size.split("x")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( videotestsrc is-live=true pattern=ball background-color=0xff404040 "
        f"! video/x-raw,width={width},height={height},framerate={options.rate}/1 "
        f"! x264enc tune=zerolatency speed-preset=ultrafast threads=1 key-int-max={options.rate} "
        "! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )
    factory.set_shared(True)
    return factory


def _require_login(
    server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, options: argparse.Namespace
) -> None:
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, _ROLE)
    auth = GstRtspServer.RTSPAuth()
    if options.login == "digest":
        gi.require_version("GstRtsp", "1.0")
        from gi.repository import GstRtsp

        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(options.user, options.password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for what in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role(_ROLE, what, True)
    factory.set_permissions(permissions)


if __name__ == "__main__":
    main()
