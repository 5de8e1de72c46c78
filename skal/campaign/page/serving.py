"""The page on a port, with a link for the browser and a QR code for phones."""

from __future__ import annotations

import secrets
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import segno
import uvicorn
from starlette.types import ASGIApp

from ...utils.replacing import replacing

_TOKEN = "token"


def token_of(folder: Path) -> str:
    """The token of a campaign, which is made once: a link keeps working when the server is started again."""
    path = folder / _TOKEN
    token = path.read_text().strip() if path.exists() else ""
    if not token:  # also where a crash left a file without its content
        token = secrets.token_urlsafe(24)
        path.touch(0o600)  # before it is there, so that nobody else reads it
        with replacing(path) as file:
            file.write(token.encode())
    return token


def link(host: str, port: int, token: str) -> str:
    """The address of the page; of a server that listens everywhere, that by which others reach this machine."""
    if host in ("0.0.0.0", "::"):
        host = _own_address()
    place = f"[{host}]" if ":" in host else host
    return f"http://{place}:{port}/?{urlencode({'token': token})}"


def show_code(url: str) -> None:
    """Draw a QR code in the terminal."""
    segno.make(url, error="l").terminal(out=sys.stdout, compact=True)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises
    ------
    OSError
        If the port is taken, or the address is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening


def serve(app: ASGIApp, listening: socket.socket) -> None:
    """Answer until somebody presses Ctrl-C, or ends the process by SIGTERM."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):  # which uvicorn raises again when it has ended
        uvicorn.Server(config).run(sockets=[listening])


def _own_address() -> str:
    """The address of this machine in its network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
