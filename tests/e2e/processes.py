"""Starts the programs of the test on ports of their own and ends every one of them, also when the test fails.

Only what was started here is ended, by its process group; nothing is looked up by name.
"""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

# Variables that would lead requests for this machine through somebody's proxy.
PROXY_VARIABLES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


def free_port() -> int:
    """Finds a port that nobody listens on at this moment, on any address of the loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment() -> dict[str, str]:
    """Returns the environment without what would change the programs under test: proxies and their own settings."""
    foreign = ("PICGATE_", "OPENAI_", "WEBUI_", "IMAGE")
    return {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in PROXY_VARIABLES and not name.startswith(foreign)
    }


class Processes:
    """The programs that run for the test. Use it in a `with` block; at its end they are gone."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.running: list[tuple[str, subprocess.Popen[bytes]]] = []
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name, process in reversed(self.running):
            _end(name, process)

    def start(self, name: str, command: list[str], environment: dict[str, str], folder: Path) -> None:
        """Starts a program in a process group of its own, so that its children end with it. Its output goes to a log."""
        with open(self.logs / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                command,
                env=clean_environment() | environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.append((name, process))

    def wait_for(self, name: str, url: str, seconds: float) -> None:
        """Waits until a program answers at this address; fails at once with its last words if it ends before."""
        process = next(process for started, process in self.running if started == name)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.last_words(name)}")
            try:
                with opener.open(url, timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise RuntimeError(f"{name} did not answer within {seconds} s:\n{self.last_words(name)}")

    def last_words(self, name: str) -> str:
        """Returns the end of a program's log."""
        return (self.logs / f"{name}.log").read_text(errors="replace")[-2000:]


def _end(name: str, process: subprocess.Popen[bytes]) -> None:
    """Asks a process group to end, and makes it if it does not."""
    for sign, patience in ((signal.SIGTERM, 35), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, sign)
        except (ProcessLookupError, PermissionError):
            pass
        try:
            process.wait(patience)
            return
        except subprocess.TimeoutExpired:
            print(f"{name} (process {process.pid}) does not end")
