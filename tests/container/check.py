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
# A data folder that the Python program wrote, and its picture that no file is left of.
PYTHON = pathlib.Path(__file__).parent.parent / "it" / "fixtures" / "python"
OLD_PICTURES = sorted((PYTHON / "images").glob("*.png"))
IN_BUCKET = "8f57ff98-46c6-4b1f-832b-1367b83f10b4"
# Its bucket is somebody's at Cloudflare: what these checks start asks a port where nobody listens.
AWAY = {"PICGATE_S3_ENDPOINT": "http://127.0.0.1:9"}
# What is said of the health check in the Python program's compose files.
HEALTH = "healthcheck: {test: [CMD, picgate, healthcheck]} instead, because there is no curl"


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

    def run_command(self, data: pathlib.Path, *arguments: str, variables: dict[str, str] | None = None) -> list[str]:
        flags = [word for name, value in (variables or {}).items() for word in ("--env", f"{name}={value}")]
        mounted = f"{data}:/app/data"
        return self.command("run", "--isolation=chroot", "--volume", mounted, *flags, self.container, "--", *arguments)

    def run(self, data: pathlib.Path, *arguments: str, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        command = self.run_command(data, *arguments, variables=variables)
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)

    def piped(self, data: pathlib.Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess:
        """With bytes in and bytes out, as `docker compose exec -T` and `run -T` have it."""
        return subprocess.run(self.run_command(data, *arguments), input=given, capture_output=True, timeout=PATIENCE)

    def remove(self) -> None:
        self.buildah("umount", self.container)
        self.buildah("rm", self.container)


class Gateway:
    """A gateway that runs in the image."""

    def __init__(self, command: list[str], port: int, log: pathlib.Path, root: pathlib.Path):
        self.port, self.log, self.root = port, log, root
        self.cookie = None
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
        if self.cookie:
            request.add_header("Cookie", self.cookie)
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

    def sign_in(self, way: str, account: dict) -> None:
        """As the browser of the admin from then on; `way` is `setup` or `login`."""
        status, body, headers = self.ask(f"/admin/api/session/{way}", account)
        assert status == 200, body
        self.cookie = headers["Set-Cookie"].split(";")[0]

    def admin(self, path: str, body=None):
        status, answer, _ = self.ask(f"/admin/api/{path}", body)
        assert status == 200, (path, status, answer)
        return json.loads(answer)

    def ticket(self) -> str:
        found = re.search(r"ticket, valid until used: (\S+)", self.text())
        assert found, self.text()
        return found[1]


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


def started(image: Image, data: pathlib.Path, log: str, variables: dict[str, str] | None = None) -> Gateway:
    port = free_port()
    command = image.run_command(data, "picgate", "serve", "--host", "127.0.0.1", "--port", str(port), variables=variables)
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
    """A volume as the Python program's container left it: all of it root's. One picture is in its bucket alone."""
    path = work / name
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(PYTHON, path)
    give(path, 0)
    return path


def give(path: pathlib.Path, owner: int) -> None:
    """chown -R"""
    for each in [path, *path.rglob("*")]:
        os.chown(each, owner, owner)


def old_files(data: pathlib.Path) -> dict[str, bytes]:
    """Everything that the Python program wrote, as it is now."""
    return {str(path.relative_to(PYTHON)): (data / path.relative_to(PYTHON)).read_bytes() for path in PYTHON.rglob("*") if path.is_file()}


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
        health = self.image.run(data, "picgate", "healthcheck", "--host", "127.0.0.1", "--port", str(gateway.port))
        assert health.returncode == 0, health
        assert self.image.run(data, "picgate", "healthcheck", "--port", str(free_port())).returncode == 1
        gateway.sign_in("setup", {"ticket": gateway.ticket(), "username": "admin", "password": "correct horse battery"})
        page = gateway.ask("/admin/")
        assert page[0] == 200 and b"<script" in page[1], "the admin UI is in the image"
        key = self.image.run(data, "picgate", "key").stdout.strip()
        link = draw(gateway, key, "a lighthouse at night")
        status, picture, headers = gateway.ask(link)
        assert status == 200 and headers["Content-Type"] == "image/png", headers
        doctor = self.image.run(data, "picgate", "doctor", "--host", "127.0.0.1", "--port", str(gateway.port))
        assert doctor.returncode == 0 and "Gateway: runs" in doctor.stdout, doctor
        assert pathlib.Path(f"/proc/{gateway.pid()}").stat().st_uid == OWNER
        backup = self.image.piped(data, "picgate", "backup", "-")
        assert backup.returncode == 0, backup.stderr
        gateway.stop()
        owners = {path.stat().st_uid for path in data.rglob("*")}
        assert owners == {OWNER}, owners
        gateway = started(self.image, data, "second.log")
        assert gateway.ask(link)[1] == picture, "a restart keeps it"
        assert "ticket" not in gateway.text(), gateway.text()
        gateway.sign_in("login", {"username": "admin", "password": "correct horse battery"})
        gateway.stop()
        self.it_comes_back_from_the_backup(backup.stdout, link, picture)

    def it_comes_back_from_the_backup(self, backup: bytes, link: str, picture: bytes):
        """On a volume where a gateway was started before, as the README has it."""
        data = folder(self.image.work, "data-restored", OWNER)
        started(self.image, data, "before-restore.log").stop()
        refused = self.image.piped(data, "picgate", "restore", "-", given=backup)
        assert refused.returncode != 0 and b"--replace" in refused.stderr, refused
        cut_off = self.image.piped(data, "picgate", "restore", "-", "--replace", given=backup[: len(backup) // 2])
        assert cut_off.returncode != 0, cut_off
        restored = self.image.piped(data, "picgate", "restore", "-", "--replace", given=backup)
        assert restored.returncode == 0, restored
        gateway = started(self.image, data, "restored.log")
        assert gateway.ask(link)[1] == picture, "the link of before"
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
        done = self.image.run(data, "picgate", "doctor", "--json", "--port", str(free_port()), variables=variables)
        return next(finding["code"] for finding in json.loads(done.stdout)["findings"] if finding["check"] == "upstream")

    def a_volume_of_root_is_refused_and_then_taken_over_in_the_admin(self):
        data = python_volume(self.image.work, "data-python")
        before = old_files(data)
        refused = self.image.run(data, "picgate", "serve", "--port", str(free_port()))
        said = refused.stdout + refused.stderr
        assert refused.returncode != 0, said
        for words in [f"chown -R {OWNER}:{OWNER} /app/data", "docker run --rm -v VOLUME:/app/data busybox", HEALTH]:
            assert words in said, (words, said)
        print("    " + "\n    ".join(said.strip().splitlines()))
        # What the line does.
        give(data, OWNER)
        gateway = started(self.image, data, "python.log", AWAY)
        for words in [HEALTH, "in /admin, or stop this one and run: picgate import /app/data"]:
            assert words in gateway.text(), (words, gateway.text())
        gateway.sign_in("setup", {"ticket": gateway.ticket(), "username": "me", "password": "correct horse battery"})
        offer = gateway.admin("import")
        assert offer["offered"] and offer["found"]["images"] == 3, offer
        job = gateway.admin("jobs", {"kind": "import"})["id"]

        def over():
            return next(each for each in gateway.admin("jobs")["items"] if each["id"] == job)["state"] != "running"

        gateway.wait_for(over, "the import")
        after = gateway.admin("import")
        assert after["last"]["images"] == len(OLD_PICTURES), after
        told = {note["what"] for note in after["last"]["notes"]}
        assert told == {IN_BUCKET, "admin admin"}, (told, "what is in the bucket alone waits, and there is an account already")
        self.old_links_and_the_old_key_work(gateway)
        gateway.stop()
        assert old_files(data) == before, "the old folder is left alone"

    def the_command_takes_an_old_volume_over_with_its_admin(self):
        data = python_volume(self.image.work, "data-python-command")
        give(data, OWNER)
        before = old_files(data)
        imported = self.image.run(data, "picgate", "import", "/app/data", variables=AWAY)
        assert f"{len(OLD_PICTURES)} images taken over" in imported.stdout and IN_BUCKET in imported.stderr, imported
        gateway = started(self.image, data, "imported.log", AWAY)
        assert "ticket" not in gateway.text(), gateway.text()
        gateway.sign_in("login", {"username": "admin", "password": "correct-horse"})
        self.old_links_and_the_old_key_work(gateway)
        gateway.stop()
        assert old_files(data) == before, "the old folder is left alone"

    def old_links_and_the_old_key_work(self, gateway: Gateway):
        for picture in OLD_PICTURES:
            for link in [f"/images/{picture.stem}", f"/images/{picture.stem}.png"]:
                status, body, _ = gateway.ask(link)
                assert status == 200 and body == picture.read_bytes(), (link, status)
        assert gateway.ask("/v1/models", key="pg-legacy-key")[0] == 200, "clients need no other key"

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
    parts = ("it_comes_back_from_the_backup", "old_links_and_the_old_key_work", "upstream_says")
    names = [name for name in vars(Checks) if not name.startswith("_") and name not in parts]
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
