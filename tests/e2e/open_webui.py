"""Tests PicGate with the real Open WebUI in a real browser: `make e2e-openwebui`.

Starts a fake paid upstream, PicGate and Open WebUI on free ports of this machine, does in Chromium what people do, and
ends everything it started. Prints a table and leaves screenshots and logs; exits with 1 if anything is not as it should.
"""

import argparse
import json
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import client
import hosts
import stored
from browser import opened
from processes import Processes, free_port
from report import Result, table
from scenarios import Scenarios
from tap import Tap
from upstream import PAID_MODEL, Upstream

GATEWAY_KEY = "pg-end-to-end-test"


def main() -> int:
    """Runs the test and returns the exit code."""
    options = read_arguments()
    # A plain kill shall tidy up like Ctrl+C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for folder in ("data", "logs", "requests", "screens"):
        shutil.rmtree(options.out / folder, ignore_errors=True)
    data = options.out / "data"
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream(free_port()))
        processes = stack.enter_context(Processes(options.out / "logs"))
        name = stack.enter_context(hosts.container_name())
        port = free_port()
        start_gateway(processes, options.picgate, port, data / "picgate", upstream)
        tap = stack.enter_context(Tap(free_port(), port)) if options.record else None
        connections = client.Connections(f"http://{name}:{tap.port if tap else port}/v1", GATEWAY_KEY, upstream.text_url)
        print(f"Open WebUI calls PicGate at {connections.gateway_url}", flush=True)
        address = client.start(processes, free_port(), data / "open-webui", connections)
        browser = stack.enter_context(opened(options.chromium, address))
        scenarios = Scenarios(browser, upstream, options.out)
        try:
            scenarios.run()
        finally:
            if tap:
                write_recording(tap, options.out / "requests")
    results = [*scenarios.results, look_into_database(data / "open-webui" / "webui.db", port)]
    print(table(results))
    print_notes(scenarios)
    return int(any(result.problems for result in results))


def read_arguments() -> argparse.Namespace:
    """Reads where things are; the script that calls this one knows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picgate", type=Path, required=True, help="the binary under test")
    parser.add_argument("--chromium", required=True, help="a Chromium or Chrome")
    parser.add_argument("--out", type=Path, required=True, help="folder for screenshots, logs and data; those of the last run go")
    parser.add_argument("--record", action="store_true", help="write every request of Open WebUI to requests/")
    options = parser.parse_args()
    options.picgate, options.out = options.picgate.resolve(), options.out.resolve()
    return options


def start_gateway(processes: Processes, binary: Path, port: int, data: Path, upstream: Upstream) -> None:
    """Starts PicGate with a fresh data folder before the fake upstream."""
    data.mkdir(parents=True)
    environment = {
        "PORT": str(port),
        "PICGATE_DATA_DIR": str(data),
        "PICGATE_GATEWAY_KEY": GATEWAY_KEY,
        "PICGATE_UPSTREAM_BASE_URL": upstream.paid_url,
        "PICGATE_UPSTREAM_API_KEY": "sk-fake-upstream-key",
        "PICGATE_UPSTREAM_MODEL": PAID_MODEL,
        "PICGATE_LOG": "debug",
    }
    processes.start("picgate", [str(binary), "serve"], environment, data)
    processes.wait_for("picgate", f"http://127.0.0.1:{port}/health", 30)


def look_into_database(database: Path, port: int) -> Result:
    """Checks what Open WebUI has stored: links that a browser can open, and no pictures."""
    result = Result("database", expected=0)
    found = stored.read(database)
    print(f"Open WebUI's {len(found.titles)} chats hold {len(found.links)} links in {found.size} characters: {', '.join(found.titles)}")
    if "New Chat" in found.titles:
        result.problems.append("a chat has got no title")
    if not found.links:
        result.problems.append("no links are stored")
    if found.base64:
        result.problems.append(f"base64 is stored: {found.base64[:3]}")
    if found.bases - {f"http://localhost:{port}"}:
        result.problems.append(f"links that a browser may not know: {found.bases}")
    return result


def print_notes(scenarios: Scenarios) -> None:
    """Prints what is measured and not judged."""
    if scenarios.first_progress:
        milliseconds, text = scenarios.first_progress
        print(f"First text in the answer after {milliseconds:.0f} ms: {text[:80]!r}")
    with_tools = sum(call.tools for call in scenarios.upstream.calls)
    print(f"Paid calls that carried tools: {with_tools} of {len(scenarios.upstream.calls)}")


def write_recording(tap: Tap, folder: Path) -> None:
    """Writes the client's requests one by one, bodies as they came."""
    folder.mkdir()
    for number, request in enumerate(tap.requests()):
        (folder / f"{number:03}.json").write_text(json.dumps({"line": request.line, "headers": request.headers}, indent=1))
        (folder / f"{number:03}.body").write_bytes(request.body)


if __name__ == "__main__":
    sys.exit(main())
