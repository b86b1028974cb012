"""What a person does with PicGate in Open WebUI, and what must come of it.

Each scenario counts the calls that would have cost money and looks at the pictures by their bytes.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Error as BrowserError

from browser import Answer, Browser, digest_of
from pictures import png, sha256
from report import Result
from upstream import TEXT_MODEL, Call, Upstream

# Long enough to press Stop and Regenerate while it draws.
SLOW_DRAWING = 8.0
# The client sends its background tasks at once after an answer; by then they have been sent.
QUIET_SECONDS = 2.0
# A number that the upstream never reaches.
UPLOAD = 777
# The heading that PicGate shows while it waits.
HEADING = "PicGate 图像处理中心"
NOT_FOR_THE_MODEL = {
    "base64": ";base64,",
    "PicGate's links": "/images/",
    "PicGate's progress": HEADING,
    "the client's file list": "<attached_files>",
}
# A stored result is there at once; this is the browser's time.
HANDOVER_SECONDS = 4.0


class Scenario:
    """One scenario while it runs."""

    def __init__(self, result: Result, upstream: Upstream) -> None:
        self.result = result
        self.upstream = upstream
        self.start = len(upstream.calls)

    @property
    def calls(self) -> list[Call]:
        """The paid calls since the scenario began."""
        return self.upstream.calls[self.start :]

    @property
    def drawings(self) -> list[Call]:
        """The paid calls that are no background tasks."""
        return [call for call in self.calls if not call.task]

    def check(self, holds: bool, otherwise: str) -> bool:
        """Notes what is wrong and goes on, so that one run tells everything."""
        if not holds:
            self.result.problems.append(otherwise)
        return holds

    def check_shown(self, answer: Answer, drawn: str | None) -> None:
        """Checks that the answer shows the drawing as its last picture, loaded from PicGate."""
        self.check(answer.broken == 0, f"{answer.broken} pictures cannot be loaded")
        self.check("##" not in answer.text, f"markdown is shown as text: {answer.text[-300:]!r}")
        if not self.check(bool(answer.pictures), f"the answer shows no picture but {answer.text[:200]!r}"):
            return
        last = answer.pictures[-1]
        self.check(last.shown and last.width > 0, f"the picture {last.link} is not visible")
        self.check("/images/" in last.link, f"the picture comes from {last.link[:80]}")
        self.check(digest_of(last.link) == drawn, "the picture is not the one that was drawn")

    def check_received(self, digest: str | None, what: str) -> None:
        """Checks that the newest drawing was asked for with this picture."""
        if self.check(bool(self.drawings), "the upstream was not asked to draw"):
            call = self.drawings[-1]
            self.check(digest in call.pictures, f"the upstream did not get {what} but {len(call.pictures)} other pictures")
            for kind, mark in NOT_FOR_THE_MODEL.items():
                self.check(mark not in call.texts, f"the upstream got {kind} as text: {call.texts[:300]!r}")


class Scenarios:
    """All of them, in the order in which a conversation grows."""

    def __init__(self, browser: Browser, upstream: Upstream, folder: Path) -> None:
        self.browser = browser
        self.upstream = upstream
        self.screens = folder / "screens"
        self.upload = folder / "data" / "upload.png"
        self.results: list[Result] = []
        self.first_progress: tuple[float, str] | None = None
        self.screens.mkdir(parents=True)
        self.upload.write_bytes(png(UPLOAD))

    def run(self) -> None:
        """Runs all. A scenario that fails does not keep the others from running."""
        self.draw_and_edit()
        self.upload_and_edit()
        self.stop_and_regenerate()
        self.stop_and_come_back_later()
        self.reload_the_page()
        self.continue_the_answer()
        self.temporary_chat()
        self.images_feature()
        self.five_turns()

    @contextmanager
    def scenario(self, name: str, paid: int) -> Iterator[Scenario]:
        """Runs one scenario: counts its paid calls, takes a screenshot, keeps its failure to itself."""
        result = Result(f"{len(self.results) + 1:02} {name}", paid)
        self.results.append(result)
        scenario = Scenario(result, self.upstream)
        print(f"{result.name} …", flush=True)
        try:
            yield scenario
        except (AssertionError, BrowserError, OSError) as error:
            result.problems.append(f"{type(error).__name__}: {str(error).splitlines()[0]}")
        self.wait_until_quiet()
        result.seen = len(scenario.calls)
        result.tasks = sum(call.task for call in scenario.calls)
        scenario.check(result.seen == paid, f"{result.seen} paid calls instead of {paid}")
        try:
            self.browser.screenshot(self.screens / f"{result.name.replace(' ', '-')}.png")
        except BrowserError as error:
            scenario.check(False, f"no screenshot: {str(error).splitlines()[0]}")

    def wait_until_quiet(self) -> None:
        """Waits until the upstream has had nothing to do for a while, so that late calls count where they belong."""
        quiet_since, known = time.monotonic(), len(self.upstream.calls)
        while time.monotonic() - quiet_since < QUIET_SECONDS:
            time.sleep(0.1)
            if self.upstream.running() or len(self.upstream.calls) != known:
                quiet_since, known = time.monotonic(), len(self.upstream.calls)

    def wait_for_calls(self, scenario: Scenario, count: int) -> None:
        """Waits until the upstream has begun to draw."""
        deadline = time.monotonic() + 20
        while len(scenario.drawings) < count:
            assert time.monotonic() < deadline, f"the upstream was not called {count} times"
            self.browser.page.wait_for_timeout(50)

    def send_and_stop(self, scenario: Scenario, prompt: str) -> None:
        """Asks for a drawing and presses Stop once the answer shows something.

        Pressed in the tenths of a second before that, Stop makes Open WebUI 0.12.4 forget the connection without closing
        it. The whole answer is then sent to a client that does not read it, and nobody can tell.
        """
        self.browser.send(prompt)
        self.wait_for_calls(scenario, 1)
        self.browser.progress()
        self.browser.stop()

    def draw_and_edit(self) -> None:
        """Draws, changes what was drawn, and changes that again, in one conversation."""
        last: str | None = None
        for name, prompt in (("draw", "画一只红色的狐狸"), ("edit", "把背景换成雪山"), ("edit again", "再加上一轮满月")):
            with self.scenario(name, paid=1) as scenario:
                if last is None:
                    self.browser.new_chat()
                answer = self.browser.ask(prompt)
                if last is None:
                    self.first_progress = self.browser.progress()
                    scenario.check(HEADING in self.first_progress[1], "nothing was shown before the upstream spoke")
                else:
                    scenario.check_received(last, "the picture of the turn before")
                scenario.check_shown(answer, scenario.drawings[-1].drawn)
                last = scenario.drawings[-1].drawn

    def upload_and_edit(self) -> None:
        """Sends a picture of one's own and has it changed."""
        with self.scenario("upload and edit", paid=1) as scenario:
            self.browser.new_chat()
            self.browser.attach(self.upload)
            answer = self.browser.ask("把这张图片变成水彩画")
            scenario.check_received(sha256(png(UPLOAD)), "the uploaded picture")
            scenario.check_shown(answer, scenario.drawings[-1].drawn)

    def stop_and_regenerate(self) -> None:
        """Stops a drawing and asks again while it is still being drawn: nobody pays twice. Then a new one is wanted."""
        with self.scenario("stop and regenerate while it draws", paid=1) as scenario, self.slow_drawings():
            self.browser.new_chat()
            self.send_and_stop(scenario, "画一座灯塔")
            scenario.check(self.upstream.running() == 1, "the upstream had finished before the client stopped")
            answer = self.browser.regenerate()
            scenario.check_shown(answer, scenario.drawings[0].drawn)
        with self.scenario("regenerate after a full delivery", paid=1) as scenario:
            answer = self.browser.regenerate()
            self.wait_for_calls(scenario, 1)
            scenario.check_shown(answer, scenario.drawings[0].drawn)

    def stop_and_come_back_later(self) -> None:
        """Stops a drawing and asks again after it was finished: the stored result is handed over."""
        with self.scenario("stop and regenerate after it was drawn", paid=1) as scenario:
            with self.slow_drawings():
                self.browser.new_chat()
                self.send_and_stop(scenario, "画一艘帆船")
            self.wait_until_quiet()
            asked = time.monotonic()
            answer = self.browser.regenerate()
            waited = time.monotonic() - asked
            scenario.check(waited < HANDOVER_SECONDS, f"the stored result took {waited:.1f} s")
            scenario.check_shown(answer, scenario.drawings[0].drawn)

    def reload_the_page(self) -> None:
        """Loads the page anew while it draws: the client's server goes on, and the picture is there in the end."""
        with self.scenario("reload while it draws", paid=1) as scenario, self.slow_drawings():
            self.browser.new_chat()
            self.browser.send("画一只猫头鹰")
            self.wait_for_calls(scenario, 1)
            self.browser.reload()
            answer = self.browser.wait_for_answer(picture=True)
            scenario.check_shown(answer, scenario.drawings[0].drawn)

    def continue_the_answer(self) -> None:
        """Continues a finished answer: the request ends with the assistant's turn, whose picture must not get lost."""
        with self.scenario("continue response", paid=2) as scenario:
            self.browser.new_chat()
            first = self.browser.ask("画一棵樱花树")
            scenario.check_shown(first, scenario.drawings[0].drawn)
            self.browser.continue_response()
            self.wait_for_calls(scenario, 2)
            self.wait_until_quiet()
            answer = self.browser.wait_for_answer()
            scenario.check_received(scenario.drawings[0].drawn, "the picture of the answer that goes on")
            links = [picture.link for picture in answer.pictures]
            scenario.check(first.pictures[-1].link in links, "the first picture is gone")
            scenario.check_shown(answer, scenario.drawings[-1].drawn)

    def temporary_chat(self) -> None:
        """Draws in a chat that is not stored."""
        with self.scenario("temporary chat", paid=1) as scenario:
            self.browser.new_chat(temporary=True)
            answer = self.browser.ask("画一只蓝色的鲸鱼")
            scenario.check_shown(answer, scenario.drawings[-1].drawn)

    def images_feature(self) -> None:
        """Draws and edits with the client's own tools: a text model calls them, PicGate serves its Images API."""
        drawn: str | None = None
        for name, prompt, path in (
            ("Images feature draws", "A lighthouse at the sea, please", "images/generations"),
            ("Images feature edits", "The same at night", "images/edits"),
        ):
            with self.scenario(name, paid=1) as scenario:
                if drawn is None:
                    self.browser.new_chat(model=TEXT_MODEL)
                    self.browser.switch_on_images()
                answer = self.browser.ask(prompt)
                scenario.check([call.path for call in scenario.calls] == [path], f"the upstream was not called at {path}")
                if drawn is not None:
                    scenario.check_received(drawn, "the picture that was to be changed")
                drawn = scenario.drawings[-1].drawn
                scenario.check(bool(answer.pictures) and answer.pictures[-1].shown, "the answer shows no picture")
                kept = self.browser.digest_of_own(answer.pictures[-1].link)
                scenario.check(kept == drawn, "the client did not get the bytes that were drawn")

    def five_turns(self) -> None:
        """Talks for five turns: each costs one call and brings the picture of the turn before."""
        turns = ("画一间小木屋", "加上一条小河", "换成秋天", "加一只小鹿", "换成夜晚")
        with self.scenario("five turns", paid=5) as scenario:
            self.browser.new_chat()
            for number, prompt in enumerate(turns):
                answer = self.browser.ask(prompt)
                scenario.check_shown(answer, scenario.drawings[-1].drawn)
                if number:
                    scenario.check_received(scenario.drawings[-2].drawn, f"the picture of turn {number}")

    @contextmanager
    def slow_drawings(self) -> Iterator[None]:
        """Lets the upstream take long for what begins meanwhile."""
        usual, self.upstream.draw_seconds = self.upstream.draw_seconds, SLOW_DRAWING
        try:
            yield
        finally:
            self.upstream.draw_seconds = usual
