"""Uses the container image as a person would, without a container engine: first start, set-up, drawing, restart, read-only
root, and the volume of the Python program. Called by .ci/container-check; needs root and buildah. Ends with the counts."""

import argparse
import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

# What a start, an answer or an end may take, in seconds: far more than they need.
PATIENCE = 60
# The largest image that is allowed, in bytes.
SIZE_MAX = 60_000_000
OWNER = 1000


class Image:
    """The image, and a container of it whose root can be looked at."""

    def __init__(self, work: pathlib.Path, name: str):
        self.work, self.name = work, name
        self.container = self.buildah("from", "--pull-never", name)
        self.root = pathlib.Path(self.buildah("mount", self.container))

    def command(self, *arguments: str) -> list[str]:
        return ["buildah", "--root", str(self.work / "storage"), "--runroot", str(self.work / "run"), *arguments]

    def buildah(self, *arguments: str) -> str:
        return subprocess.run(self.command(*arguments), check=True, capture_output=True, text=True).stdout.strip()

    def run_command(self, data: pathlib.Path, *arguments: str) -> list[str]:
        mounted = f"{data}:/app/data"
        return self.command("run", "--isolation=chroot", "--volume", mounted, self.container, "--", *arguments)

    def run(self, data: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(self.run_command(data, *arguments), capture_output=True, text=True, timeout=PATIENCE)

    def remove(self) -> None:
        self.buildah("umount", self.container)
        self.buildah("rm", self.container)


class Gateway:
    """A gateway that runs in the image."""

    def __init__(self, command: list[str], port: int, log: pathlib.Path, root: pathlib.Path):
        self.port, self.log, self.root = port, log, root
        with log.open("w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.wait_for(lambda: "is ready" in self.text(), "the gateway to start")

    def text(self) -> str:
        return self.log.read_text()

    def wait_for(self, condition, what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.process.kill()
                raise AssertionError(f"waited in vain for {what}:\n{self.text()}")
            time.sleep(0.05)

    def pid(self) -> int:
        """Of the program itself, below what started it."""
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"picgate") and str(self.port).encode() in words:
                    return int(entry.name)
        raise AssertionError("the program is not among the processes")

    def stop(self) -> None:
        os.kill(self.pid(), signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        assert code == 0, f"ended with {code}:\n{self.text()}"

    def ask(self, path: str, body=None, key: str | None = None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method="GET" if body is None else "POST")
        request.add_header("X-PicGate", "1")
        if key:
            request.add_header("Authorization", f"Bearer {key}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read(), answer.headers


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def folder(work: pathlib.Path, name: str, owner: int) -> pathlib.Path:
    path = work / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o755)
    os.chown(path, owner, owner)
    return path


def started(image: Image, data: pathlib.Path, log: str) -> Gateway:
    port = free_port()
    command = image.run_command(data, "picgate", "serve", "--host", "127.0.0.1", "--port", str(port))
    return Gateway(command, port, image.work / log, image.root)


def started_read_only(image: Image, data: pathlib.Path, log: str) -> Gateway:
    """With a root that nobody can write and without new rights, as compose.yaml has it."""
    port, root = free_port(), image.root
    (root / "proc").mkdir(exist_ok=True)
    script = f"""
        mount --bind '{root}' '{root}' && mount -o remount,bind,ro '{root}' && mount --bind '{data}' '{root}/app/data' &&
        mount -t proc proc '{root}/proc' && cd / &&
        exec env -i PATH=/usr/local/bin HOST=127.0.0.1 PICGATE_DATA_DIR=/app/data SQLITE_TMPDIR=/app/data container=oci \
            /usr/bin/setpriv --no-new-privs /usr/sbin/chroot --userspec={OWNER}:{OWNER} '{root}' /usr/local/bin/picgate serve --port {port}
    """
    return Gateway(["unshare", "--mount", "--propagation", "private", "sh", "-c", script], port, image.work / log, root)


def draw(gateway: Gateway, key: str, prompt: str) -> str:
    status, body, _ = gateway.ask("/v1/images/generations", {"prompt": prompt, "response_format": "url"}, key)
    assert status == 200, body
    link = json.loads(body)["data"][0]["url"]
    assert "/images/" in link, link
    return link[link.index("/images/"):]


def python_volume(work: pathlib.Path, name: str) -> pathlib.Path:
    """A volume as the Python program's container left it: all of it root's."""
    path = folder(work, name, 0)
    (path / "db").mkdir()
    legacy = pathlib.Path(__file__).parent.parent / "it" / "fixtures" / "legacy-data"
    if legacy.exists():
        shutil.copytree(legacy, path, dirs_exist_ok=True)
    else:
        with contextlib.closing(sqlite3.connect(path / "db" / "picgate.db")) as database:
            database.execute("create table images (image_id text, has_r2_copy boolean)")
            database.commit()
    return path


@contextlib.contextmanager
def tls_server(work: pathlib.Path):
    """A server with a certificate for localhost; its port, and the authority that signed it."""
    path = folder(work, "tls", 0)
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=check -addext basicConstraints=critical,CA:true"
    subprocess.run([*make.split(), "-keyout", path / "ca.key", "-out", path / "ca.pem"], check=True, capture_output=True)
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    make += " -addext basicConstraints=critical,CA:false"
    signed = ["-CA", path / "ca.pem", "-CAkey", path / "ca.key", "-keyout", path / "key.pem", "-out", path / "cert.pem"]
    subprocess.run([*make.split(), *signed], check=True, capture_output=True)

    class Models(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'{"data": [{"id": "m"}]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path / "cert.pem", path / "key.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Models)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], (path / "ca.pem").read_text()
    finally:
        server.shutdown()


class Checks:
    def __init__(self, image: Image):
        self.image = image

    def the_image_is_small_and_has_no_shell(self):
        archive = self.image.work / "image.tar"
        archive.unlink(missing_ok=True)
        self.image.buildah("push", "--quiet", self.image.name, f"oci-archive:{archive}")
        files = [path for path in self.image.root.rglob("*") if path.is_file() and not path.is_symlink()]
        size = sum(path.stat().st_size for path in files)
        print(f"    {size / 1e6:.1f} MB in {len(files)} files, {archive.stat().st_size / 1e6:.1f} MB compressed")
        for path in sorted(files, key=lambda path: -path.stat().st_size)[:4]:
            print(f"    {path.stat().st_size / 1e6:6.1f} MB  /{path.relative_to(self.image.root)}")
        assert size < SIZE_MAX, size
        names = {path.name for path in files}
        assert not names & {"sh", "bash", "dash", "busybox", "curl"}, names
        archive.unlink()

    def what_the_image_says_of_itself(self):
        config = json.loads(self.image.buildah("inspect", "--type", "image", self.image.name))["Docker"]["config"]
        assert config["User"] == f"{OWNER}:{OWNER}", config
        assert config["Entrypoint"] == ["picgate"] and config["Cmd"] == ["serve"], config
        assert "/app/data" in config["Volumes"] and "5643/tcp" in config["ExposedPorts"], config
        assert config["Healthcheck"]["Test"] == ["CMD", "picgate", "healthcheck"], config
        assert {"HOST=0.0.0.0", "PICGATE_DATA_DIR=/app/data"} <= set(config["Env"]), config

    def from_the_first_start_to_a_picture_that_stays(self):
        data = folder(self.image.work, "data", OWNER)
        gateway = started(self.image, data, "first.log")
        ticket = re.search(r"ticket, valid until used: (\S+)", gateway.text())
        assert ticket, gateway.text()
        health = self.image.run(data, "picgate", "healthcheck", "--host", "127.0.0.1", "--port", str(gateway.port))
        assert health.returncode == 0, health
        assert self.image.run(data, "picgate", "healthcheck", "--port", str(free_port())).returncode == 1
        account = {"ticket": ticket[1], "username": "admin", "password": "correct horse battery"}
        assert gateway.ask("/admin/api/session/setup", account)[0] == 200
        page = gateway.ask("/admin/")
        assert page[0] == 200 and b"<script" in page[1], "the admin UI is in the image"
        key = self.image.run(data, "picgate", "key").stdout.strip()
        link = draw(gateway, key, "a lighthouse at night")
        status, picture, headers = gateway.ask(link)
        assert status == 200 and headers["Content-Type"] == "image/png", headers
        doctor = self.image.run(data, "picgate", "doctor", "--host", "127.0.0.1", "--port", str(gateway.port))
        assert doctor.returncode == 0 and "Gateway: runs" in doctor.stdout, doctor
        assert pathlib.Path(f"/proc/{gateway.pid()}").stat().st_uid == OWNER
        gateway.stop()
        owners = {path.stat().st_uid for path in data.rglob("*")}
        assert owners == {OWNER}, owners
        gateway = started(self.image, data, "second.log")
        assert gateway.ask(link)[1] == picture, "a restart keeps it"
        assert "ticket" not in gateway.text(), gateway.text()
        login = {"username": "admin", "password": "correct horse battery"}
        assert gateway.ask("/admin/api/session/login", login)[0] == 200, "a restart keeps the admin"
        gateway.stop()

    def a_root_that_cannot_be_written_is_enough(self):
        data = folder(self.image.work, "data-read-only", OWNER)
        gateway = started_read_only(self.image, data, "read-only.log")
        mounts = pathlib.Path(f"/proc/{gateway.pid()}/mountinfo").read_text().splitlines()
        root = [line.split() for line in mounts if line.split()[4] in ("/", str(self.image.root))]
        assert any("ro" in words[5].split(",") for words in root), mounts
        key = json.loads((data / "store" / "secrets.json").read_text())["gateway_key"]
        link = draw(gateway, key, "a cat")
        assert gateway.ask(link)[0] == 200
        gateway.wait_for(lambda: gateway.ask(f"{link}/thumbnail")[0] == 200, "the thumbnail")
        gateway.stop()

    def servers_are_trusted_by_the_certificates_of_the_image(self):
        """An authority of our own goes into the image's bundle, and a server that it vouches for is an upstream."""
        data, bundle = folder(self.image.work, "data-tls", OWNER), self.image.root / "etc" / "ssl" / "certs" / "ca-certificates.crt"
        whole = bundle.read_text()
        assert whole.count("BEGIN CERTIFICATE") > 100
        with tls_server(self.image.work) as (port, authority):
            assert self.upstream_says(data, port) == "upstream_failed", "nobody vouches for it yet"
            bundle.write_text(whole + authority)
            try:
                assert self.upstream_says(data, port) == "upstream_ok"
            finally:
                bundle.write_text(whole)

    def upstream_says(self, data: pathlib.Path, port: int) -> str:
        variables = {"PICGATE_UPSTREAM_BASE_URL": f"https://localhost:{port}/v1", "PICGATE_UPSTREAM_MODEL": "m"}
        flags = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        command = self.image.run_command(data, "picgate", "doctor", "--json", "--port", str(free_port()))
        at = command.index("--isolation=chroot")
        done = subprocess.run([*command[:at], *flags, *command[at:]], capture_output=True, text=True, timeout=PATIENCE)
        return next(finding["code"] for finding in json.loads(done.stdout)["findings"] if finding["check"] == "upstream")

    def a_volume_of_root_is_refused_with_the_line_that_mends_it(self):
        data = python_volume(self.image.work, "data-python")
        before = (data / "db" / "picgate.db").read_bytes()
        refused = self.image.run(data, "picgate", "serve", "--port", str(free_port()))
        said = refused.stdout + refused.stderr
        assert refused.returncode != 0, said
        for words in [f"chown -R {OWNER}:{OWNER} /app/data", "docker run --rm -v VOLUME:/app/data busybox", "picgate, healthcheck"]:
            assert words in said, (words, said)
        print("    " + "\n    ".join(said.strip().splitlines()))
        # What the line does.
        for path in [data, *data.rglob("*")]:
            os.chown(path, OWNER, OWNER)
        gateway = started(self.image, data, "python.log")
        assert "picgate, healthcheck" in gateway.text(), gateway.text()
        assert (data / "db" / "picgate.db").read_bytes() == before, "the old database is left alone"
        gateway.stop()
        self.old_links_work(data)

    def old_links_work(self, data: pathlib.Path):
        if self.image.run(data, "picgate", "import", "--help").returncode != 0:
            print("    (this version has no import yet)")
            return
        imported = self.image.run(data, "picgate", "import", "/app/data")
        assert imported.returncode == 0, imported
        gateway = started(self.image, data, "imported.log")
        pictures = sorted((data / "images").glob("*.png"))
        assert pictures, "the volume has pictures"
        for picture in pictures:
            status, body, _ = gateway.ask(f"/images/{picture.stem}")
            assert status == 200 and body == picture.read_bytes(), picture
        gateway.stop()

    def the_health_check_of_old_compose_files_finds_no_curl(self):
        data = folder(self.image.work, "data-curl", OWNER)
        asked = self.image.run(data, "curl", "-f", "http://localhost:5643/health")
        assert asked.returncode != 0 and "not found" in asked.stderr, asked


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--image", required=True)
    arguments = parser.parse_args()
    image = Image(arguments.work, arguments.image)
    checks = Checks(image)
    names = [name for name in vars(Checks) if not name.startswith("_") and name not in ("old_links_work", "upstream_says")]
    failed = 0
    try:
        for name in names:
            print(f"  {name.replace('_', ' ')}", flush=True)
            try:
                getattr(checks, name)()
            except (AssertionError, subprocess.SubprocessError, OSError, KeyError, ValueError, StopIteration) as error:
                failed += 1
                print(f"    FAILED: {error}", flush=True)
    finally:
        image.remove()
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
