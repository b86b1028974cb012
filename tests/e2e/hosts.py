"""Gives this machine a name that only containers know, for as long as the test runs.

Open WebUI in Docker calls PicGate as `host.docker.internal`, a name that no browser knows. That is only a test of the
links if the name resolves here, which takes a line in the hosts file and the right to write it.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = "host.docker.internal"
HOSTS = Path("/etc/hosts")
# Begins with a line break, because the file need not end with one, and takes that away with it.
LINE = f"\n127.0.0.1 {NAME} # PicGate's end-to-end test\n"


@contextmanager
def container_name() -> Iterator[str]:
    """Yields the name under which Open WebUI shall call PicGate: the container's if possible, else `localhost`."""
    try:
        _remove()  # What a run that was killed has left.
        if not _resolves_to_loopback():
            _add()
    except OSError as error:
        print(f"{NAME} cannot be set up ({error.strerror}), so Open WebUI calls PicGate as localhost.")
    try:
        yield NAME if _resolves_to_loopback() else "localhost"
    finally:
        with suppress(OSError):
            _remove()


def _add() -> None:
    with open(HOSTS, "a", encoding="utf-8") as hosts:
        hosts.write(LINE)


def _remove() -> None:
    """Takes our line out again and leaves what others wrote meanwhile."""
    text = HOSTS.read_text(encoding="utf-8")
    if LINE in text:
        HOSTS.write_text(text.replace(LINE, ""), encoding="utf-8")


def _resolves_to_loopback() -> bool:
    try:
        return socket.gethostbyname(NAME) == "127.0.0.1"
    except OSError:
        return False
