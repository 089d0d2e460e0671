"""A TensorBoard server of its own for a log directory, and what its data API and its pages show."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

PATIENCE = 120.0
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Server:
    """Where a server listens."""

    def __init__(self, url: str, process: subprocess.Popen) -> None:
        self.url, self.process = url, process

    def get(self, route: str, **query: object) -> bytes:
        text = urllib.parse.urlencode(query)
        request = f"{self.url}/data/{route}{'?' if text else ''}{text}"
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read()

    def json(self, route: str, **query: object):
        return json.loads(self.get(route, **query))

    def post(self, route: str, body: object):
        request = urllib.request.Request(
            f"{self.url}/data/{route}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.loads(answer.read())


@contextlib.contextmanager
def serving(logs: Path, folder: Path) -> Iterator[Server]:
    """Starts a server on a free port, waits until it has read the logs, and ends it."""
    port = free_port()
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logs), "--port", str(port)]
    # One reader in Python, so that nothing but the server itself has to be ended.
    command += ["--host", "127.0.0.1", "--load_fast", "false", "--reload_interval", "1"]
    with (folder / "server.txt").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        until(lambda: server.json("runs"), server, folder)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def until(ask: Callable[[], object], server: Server, folder: Path) -> object:
    """Asks until there is an answer; it may take a while on a busy machine, not for ever."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if answer := ask():
                return answer
        except (urllib.error.URLError, ConnectionError):
            pass
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(timeout=0.1)
    raise AssertionError(f"TensorBoard gave no answer:\n{(folder / 'server.txt').read_text('utf-8', 'replace')}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def screenshot(url: str, path: Path, folder: Path) -> None:
    """A picture of a page, once its scripts have run."""
    profile = f"--user-data-dir={folder / 'chromium'}"
    command = [str(CHROMIUM), *FLAGS, profile, "--window-size=1400,900", "--virtual-time-budget=30000"]
    command += [f"--screenshot={path}", url]
    subprocess.run(command, check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
