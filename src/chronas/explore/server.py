"""Serves the page by streamlit, in this process, by default only to this machine.

Nothing is fetched or sent: no usage statistics, no check of this machine's external address, and no browser unless
asked for. Streamlit's own greeting is off; `chronas explore` prints the address.
"""

from __future__ import annotations

import contextlib
import importlib
import ipaddress
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from chronas.errors import MissingExtraError, UsageError
from chronas.explore.catalogue import load_catalogue

SCRIPT = Path(__file__).parent / "served" / "app.py"
LOOPBACK = "127.0.0.1"
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened at
NO_STREAMLIT = "the explorer's page needs streamlit: pip install 'chronas[explore]'"


class Settings(BaseModel):
    """Address and port of the page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default=LOOPBACK, description="address to listen at; 0.0.0.0 lets other machines in")
    port: int = Field(default=8501, ge=0, le=65535, description="port to listen at; 0 takes a free one")
    browser: bool = Field(default=False, description="open the page in a browser")


def serve(
    settings: Settings, files: tuple[Path, ...], accuracies: Path | None, announce: Callable[[str], None]
) -> None:
    """Serve the page until it is interrupted.

    Args:
        settings: address and port.
        files: tables of costs, as for `load_catalogue`.
        accuracies: as for `load_catalogue`.
        announce: called with the page's address.

    Raises:
        MissingExtraError: streamlit is not installed.
        UsageError: the address or port cannot be listened at.
    """
    try:
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from streamlit.starlette import App
        from streamlit.web import bootstrap
        from streamlit.web.server.starlette import UvicornRunner
    except ImportError as error:
        raise MissingExtraError(NO_STREAMLIT) from error
    port = free_port(settings.host, settings.port)
    if not is_loopback(settings.host):
        sys.stderr.write(f"everyone who can reach {settings.host} can see the page; there is no password\n")
    importlib.import_module("chronas.explore.page")  # imports streamlit and plotly before the first view
    load_catalogue(files, accuracies)  # keeps it for the first view; what is wrong with a file is said here
    announce(f"http://{settings.host}:{port}")
    options = streamlit_options(settings, port)
    bootstrap.load_config_options(options)
    sys.argv = [str(SCRIPT), *write_arguments(files, accuracies)]  # the script reads them
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(settings.host), www_redirect=False)
    # Writing to a closed pipe would keep it from ending. Ctrl-C ends it, which is no error.
    with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(KeyboardInterrupt):
        UvicornRunner(App(SCRIPT, middleware=[hosts])).run()


def allowed_hosts(host: str) -> list[str]:
    """The names in a request's Host header that are answered; another name may lead here by a changed DNS entry.

    With `host` 0.0.0.0 or ::, which let other machines in by any of this machine's addresses, every name is answered.
    """
    if host in ANY_ADDRESS:
        return ["*"]
    return list(dict.fromkeys([host, "localhost", LOOPBACK, "[::1]"]))


def streamlit_options(settings: Settings, port: int) -> dict[str, Any]:
    """Streamlit's settings, which override those in a user's own .streamlit/config.toml."""
    return {
        "server_address": settings.host,
        "server_port": port,
        "server_headless": not settings.browser,
        "server_fileWatcherType": "none",
        "server_runOnSave": False,
        "browser_gatherUsageStats": False,
        "client_toolbarMode": "minimal",
        "client_showErrorDetails": "none",
        "global_developmentMode": False,
        "logger_hideWelcomeMessage": True,
        "logger_level": "warning",
        "theme_light_primaryColor": "#0067a5",
        "theme_dark_primaryColor": "#6cb7ea",
    }


def free_port(host: str, port: int) -> int:
    """The port, or a free one if it is 0.

    Raises:
        UsageError: it is not possible to listen at the port; the message says why.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            found: int = probe.getsockname()[1]
            return found
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot listen at {host}:{port} ({reason}): choose another --port or --host") from error


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def write_arguments(files: Sequence[Path], accuracies: Path | None) -> list[str]:
    """The script's arguments: the file of accuracies or "", then the tables."""
    return ["" if accuracies is None else str(accuracies), *map(str, files)]


def read_arguments(words: Sequence[str]) -> tuple[tuple[Path, ...], Path | None]:
    """Tables and accuracies from the output of `write_arguments`."""
    accuracies, *files = words
    return tuple(map(Path, files)), Path(accuracies) if accuracies else None
