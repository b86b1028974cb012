"""Measures the admin with 100,000 images: the gallery's list and search, and what a browser makes of its pages.

    python3 tests/bench/admin.py [--binary target/release/picgate-headless] [--images 100000] [--browser chromium]

It draws some pictures with the built-in demo, makes many images of them in the database of a folder of its own, and asks
the program itself over loopback. Prints a table and changes nothing in the repository.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
import time
import urllib.parse
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DRAWN = 40
ROUNDS = 300
ORDERS = [("created", "desc"), ("created", "asc"), ("accessed", "desc"), ("size", "desc"), ("size", "asc")]
NAME, PASSWORD = "admin", "correct horse battery"
SUBJECTS = ["雪山下的红狐狸", "窗边的橘猫", "赛博朋克城市夜景", "清晨的茶园", "会飞的鲸鱼", "a harbour at dusk", "a tiny robot gardener", "海边的灯塔", "秋天的银杏大道", "宇航员弹钢琴"]
STYLES = ["水彩画", "油画", "像素风", "铅笔素描", "电影感光线", "低多边形", "ukiyo-e", "studio ghibli style", "极简主义", "长曝光"]


class Program:
    """The real program over a folder."""

    def __init__(self, binary: Path, folder: Path):
        environment = os.environ | {"PICGATE_ADMIN_USERNAME": NAME, "PICGATE_ADMIN_PASSWORD": PASSWORD}
        command = [str(binary), "serve", "--port", "0", "--data-dir", str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        while not (line := self.process.stdout.readline()).strip().startswith("Base URL"):
            if not line:
                raise SystemExit("the program did not start")
        self.url = line.split()[-1].removesuffix("/v1")
        self.address = urllib.parse.urlparse(self.url).netloc
        self.connection = http.client.HTTPConnection(self.address)
        self.headers = {"x-picgate": "1", "content-type": "application/json"}
        answer = self.ask("POST", "/admin/api/session/login", {"username": NAME, "password": PASSWORD}, raw=True)
        self.cookie = answer.getheader("set-cookie").split(";")[0]
        answer.read()
        self.headers["cookie"] = self.cookie

    def ask(self, method: str, path: str, body=None, raw=False):
        self.connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        answer = self.connection.getresponse()
        if answer.status >= 300:
            raise SystemExit(f"{path} answers {answer.status}: {answer.read()[:200]}")
        return answer if raw else json.loads(answer.read())

    def stop(self):
        self.process.terminate()
        self.process.wait()


def multiply(database: Path, images: int) -> None:
    """Makes many images of the drawn ones, spread over a year."""
    chance = random.Random(7)
    with sqlite3.connect(database) as connection:
        drawn = connection.execute("select sha256, model, upstream, upstream_model, parameters from images").fetchall()
        first = connection.execute("select max(seq) from images").fetchone()[0] + 1
        now = int(time.time() * 1000)
        rows = []
        for at in range(images):
            sha256, *rest = drawn[at % len(drawn)]
            created = now - (images - at) * 315_000
            prompt = f"{chance.choice(SUBJECTS)}，{chance.choice(STYLES)}，第 {at} 张"
            rows.append((first + at, uuid.UUID(int=chance.getrandbits(128), version=4).bytes, sha256, "generated", prompt, *rest, created, created))
        connection.executemany(
            "insert into images (seq, id, sha256, source, prompt, model, upstream, upstream_model, parameters, created_at, accessed_at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        # The program indexes the words itself, as it does after an update.
        connection.execute("update meta set value = ? where key = 'words_until'", (str(first + images - 1),))
        connection.execute("update meta set value = ? where key = 'words_done'", (str(first - 1),))


def wait_for_words(database: Path) -> None:
    while True:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            found = dict(connection.execute("select key, value from meta where key like 'words_%'"))
        if int(found["words_done"]) >= int(found["words_until"]):
            return
        time.sleep(0.2)


def percentiles(times: list[float]) -> str:
    times = sorted(times)
    return f"p50 {times[len(times) // 2] * 1000:.1f} ms, p95 {times[int(len(times) * 0.95)] * 1000:.1f} ms"


def timed(program: Program, paths) -> str:
    times = []
    for path in paths:
        began = time.perf_counter()
        program.ask("GET", path)
        times.append(time.perf_counter() - began)
    return percentiles(times)


def listing(program: Program, sort: str, order: str):
    """Pages one after another, as somebody scrolls."""
    after = ""
    for _ in range(ROUNDS // 3):
        path = f"/admin/api/images?limit=200&sort={sort}&order={order}&after={after}"
        yield path
        after = urllib.parse.quote(program.ask("GET", path)["next"] or "")


def searches():
    words = ["雪", "狐狸", "猫", "赛博朋克", "鲸", "harbour", "robot gard", "水彩", "灯塔 油画", "没有的词", "第 99", "银杏 像素"]
    for round_ in range(ROUNDS):
        yield f"/admin/api/images?limit=200&q={urllib.parse.quote(words[round_ % len(words)])}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", type=Path, default=ROOT / "target/release/picgate-headless")
    arguments.add_argument("--images", type=int, default=100_000)
    arguments.add_argument("--browser", default=os.environ.get("PICGATE_CHROMIUM") or shutil.which("chromium"))
    options = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="picgate-figures-"))
    database = folder / "store" / "picgate.sqlite3"
    program = None
    try:
        program = Program(options.binary, folder)
        for at in range(DRAWN):
            program.ask("POST", "/admin/api/draw-test", {"prompt": f"{SUBJECTS[at % len(SUBJECTS)]}，{STYLES[at // 4]}"})
        program.stop()
        multiply(database, options.images)
        program = Program(options.binary, folder)
        wait_for_words(database)
        print(f"images in the library      {program.ask('GET', '/admin/api/stats')['images']['total']:,}")
        for sort, order in ORDERS:
            print(f"a page of 200, {sort:8} {order:4} {timed(program, listing(program, sort, order))}")
        print(f"search, 200 results        {timed(program, searches())}")
        print(f"first page unfiltered      {timed(program, ['/admin/api/images?limit=200'] * 100)}")
        if options.browser:
            name, value = program.cookie.split("=", 1)
            environment = os.environ | {"PICGATE_URL": program.url, "PICGATE_COOKIE": f"{name}={value}", "PICGATE_CHROMIUM": options.browser}
            subprocess.run(["node", str(ROOT / "ui/tests/browser/figures.mjs")], check=True, env=environment)
    finally:
        if program:
            program.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
