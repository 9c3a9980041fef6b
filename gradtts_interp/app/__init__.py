"""``gradtts-interp app``: blends by hand in a browser, on this machine and for this machine."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import signal
import socket
import threading

import torch

from gradtts_interp.app.rendering import FormRenderer
from gradtts_interp.cli.flags import add_checkpoint, load_pipeline
from gradtts_interp.errors import InputError, import_extra

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add_checkpoint(parser)
    add = parser.add_argument
    add("--threads", type=int, help="CPU threads (default: torch's choice)")
    add("--host", default="127.0.0.1", help="address to listen on; others than loopback are reachable")
    add("--port", type=int, default=7860, help="port to listen on; 0 takes a free one")
    add("--open", action="store_true", help="open a browser")
    add("--max-upload-mb", type=float, default=10.0, help="largest recording, MiB")
    add("--max-upload-seconds", type=float, default=60.0, help="longest recording, seconds")
    add("--max-steps", type=int, default=200, help="most steps of the sampler")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        args: What the parser of ``add_arguments`` gave.

    Returns:
        Exit status 0.

    Raises:
        InputError: Gradio is not installed, the port is taken, or the checkpoint cannot be used.
    """
    gradio = import_extra("gradio", "the app needs Gradio", "app")
    from gradtts_interp.app.page import HEAD, build

    for name in ("max_upload_mb", "max_upload_seconds", "max_steps"):
        if not getattr(args, name) >= 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(args, name):g}: expected 1 or more")
    port = _free_port(args.host, args.port)
    if args.threads:
        torch.set_num_threads(args.threads)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio asks itself whether it has started
    pipeline = load_pipeline(args)
    if not _is_loopback(args.host):
        logger.warning("listening on %s: others can reach the app, and it asks for no password", args.host)
    renderer = FormRenderer(pipeline, args)
    page = build(renderer)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        _, url, _ = page.queue(max_size=16).launch(
            server_name=args.host,
            server_port=port,
            max_file_size=int(args.max_upload_mb * 2**20),
            theme=gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
            head=HEAD,
            footer_links=[],
            inbrowser=args.open,
            prevent_thread_lock=True,
            share=False,
            quiet=True,
            ssr_mode=False,
        )
        print(f"listening on {url}; Ctrl-C ends it", flush=True)  # noqa: T201
        ended.wait()
    except OSError as error:
        raise InputError(f"cannot listen on {args.host}:{args.port}: {error}") from error
    finally:
        page.close(verbose=False)
        renderer.close()
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _free_port(host: str, port: int) -> int:
    """The port, or any free one for 0, if the app can listen there."""
    if not 0 <= port < 2**16:
        raise InputError(f"--port {port}: expected 0 to 65535")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        return probe.getsockname()[1]
