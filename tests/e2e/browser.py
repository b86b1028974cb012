"""Open WebUI as a person sees it: the few things that the scenarios do and look at, in Chromium.

All knowledge of its pages (ids, labels, classes) is here, because that is what changes with its versions.
"""

import hashlib
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

import hosts
from client import EMAIL, PASSWORD

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The browser shall not know the container's name, as browsers elsewhere do not.
    f"--host-resolver-rules=MAP {hosts.NAME} ~NOTFOUND",
]
ANSWER_SECONDS = 60

# The newest answer: its id, its text, whether it is done, and its pictures.
LOOK = """() => {
    const all = [...document.querySelectorAll('[id^="message-"]')].filter((e) => e.querySelector('.chat-assistant'));
    const last = all.at(-1);
    if (!last) return null;
    return {
        id: last.id,
        text: last.querySelector('#response-content-container')?.innerText ?? '',
        done: !!last.querySelector('[aria-label="Copy"]') && !document.querySelector('button[aria-label="Stop"]'),
        pictures: [...last.querySelectorAll('img[data-cy="image"]')].map((i) => ({
            link: i.src, width: i.complete ? i.naturalWidth : 0, shown: i.getBoundingClientRect().width > 20,
        })),
        broken: last.querySelectorAll('[data-cy="image-unavailable"]').length,
    };
}"""

# Notes when Enter was pressed and when the first text stood in an answer that was not there before.
WATCH = """() => {
    const ids = () => [...document.querySelectorAll('[id^="message-"]')].filter((e) => e.querySelector('.chat-assistant'));
    const old = new Set(ids().map((e) => e.id));
    window.progress = { sent: null, first: null, text: null };
    document.addEventListener('keydown', (e) => {
        if (e.key === 'Enter') window.progress.sent ??= performance.now();
    }, { capture: true });
    new MutationObserver((_, observer) => {
        const text = ids().filter((e) => !old.has(e.id)).at(-1)?.querySelector('#response-content-container')?.innerText.trim();
        if (text) {
            Object.assign(window.progress, { first: performance.now(), text });
            observer.disconnect();
        }
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


@dataclass
class Picture:
    """A picture in an answer, as the browser shows it."""

    link: str
    width: int
    shown: bool


@dataclass
class Answer:
    """The newest answer of the chat."""

    id: str
    text: str
    done: bool
    pictures: list[Picture]
    # Pictures that the browser could not load.
    broken: int


class Browser:
    """One tab with Open WebUI."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address

    def sign_in(self) -> None:
        """Signs in through the form, as everybody has to."""
        self.page.goto(self.address)
        self.page.fill("#email", EMAIL)
        self.page.fill("#password", PASSWORD)
        self.page.click('button[type="submit"]')
        self.page.wait_for_selector("#chat-input", timeout=60_000)

    def new_chat(self, model: str = "picgate", temporary: bool = False) -> None:
        """Opens an empty chat by its address. Loads the page anew and forgets drafts: a failed scenario leaves nothing behind."""
        self.page.evaluate("sessionStorage.clear()")
        self.page.goto(f"{self.address}/?models={model}")
        self.page.wait_for_selector("#chat-input")
        # The model's name shows that the list of models is there; before, nothing can be sent.
        self.page.get_by_role("button", name=re.compile(re.escape(model))).first.wait_for()
        if temporary:
            self.page.click("#temporary-chat-button")
            self.page.wait_for_url(re.compile("temporary-chat=true"))

    def send(self, text: str) -> None:
        """Types a message and presses Enter."""
        self.page.evaluate(WATCH)
        self.page.click("#chat-input")
        self.page.keyboard.insert_text(text)
        self.page.keyboard.press("Enter")

    def ask(self, text: str) -> Answer:
        """Sends a message and waits for the whole answer."""
        before = self.answer()
        self.send(text)
        return self.wait_for_answer(other_than=before)

    def answer(self) -> Answer | None:
        """Looks at the newest answer."""
        seen = self.page.evaluate(LOOK)
        if seen is None:
            return None
        return Answer(**{**seen, "pictures": [Picture(**picture) for picture in seen["pictures"]]})

    def wait_for_answer(self, other_than: Answer | None = None, picture: bool = False) -> Answer:
        """Waits until the newest answer is another one than before and is done, with its pictures (or one at least) loaded."""
        asked = {"old": other_than.id if other_than else None, "least": int(picture)}
        condition = f"""({{ old, least }}) => {{
            const a = ({LOOK})();
            return a && a.id !== old && a.done && a.pictures.length >= least && a.pictures.every((p) => p.width > 0);
        }}"""
        self.page.wait_for_function(condition, arg=asked, timeout=ANSWER_SECONDS * 1000)
        answer = self.answer()
        assert answer is not None
        return answer

    def progress(self) -> tuple[float, str]:
        """Returns the milliseconds from sending to the first text in the answer, and that text."""
        seen = self.page.wait_for_function("window.progress?.first && window.progress", timeout=ANSWER_SECONDS * 1000).json_value()
        return seen["first"] - seen["sent"], seen["text"]

    def stop(self) -> None:
        """Presses Stop and waits until the client has stopped."""
        button = self.page.get_by_role("button", name="Stop", exact=True)
        button.click()
        button.wait_for(state="hidden")

    def regenerate(self) -> Answer:
        """Has the newest answer made again, unchanged, and waits for the new one."""
        before = self.answer()
        self.page.get_by_role("button", name="Regenerate", exact=True).last.click()
        self.page.get_by_text("Try Again", exact=True).click()
        return self.wait_for_answer(other_than=before)

    def reload(self) -> None:
        """Loads the page of the chat anew and waits until its messages are there."""
        self.page.wait_for_url(re.compile("/c/"))
        self.page.reload()
        self.page.wait_for_selector(".chat-assistant")

    def continue_response(self) -> None:
        """Presses "Continue Response" below the newest answer."""
        self.page.click("#continue-response-button")

    def attach(self, file: Path) -> None:
        """Attaches a file to the next message through the file chooser, and waits until the client has stored it."""
        self.page.click("#input-menu-button")
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_text("Upload Files").click()
        with self.page.expect_response(lambda r: r.request.method == "POST" and "/api/v1/files/" in r.url):
            chooser.value.set_files(file)
        self.page.locator("#message-input-container img").first.wait_for()

    def switch_on_images(self) -> None:
        """Switches the client's own Images feature on for this chat."""
        self.page.click("#integration-menu-button")
        self.page.get_by_role("menuitemcheckbox", name="Image").click()
        self.page.keyboard.press("Escape")
        self.page.get_by_role("button", name="Image", exact=True).wait_for()

    def digest_of_own(self, link: str) -> str:
        """Fetches a picture that the client keeps itself, as the signed-in user."""
        return hashlib.sha256(self.page.request.get(link).body()).hexdigest()

    def screenshot(self, file: Path) -> None:
        """Takes a picture of the window with the newest picture of the chat in view."""
        pictures: Locator = self.page.locator('.chat-assistant img[data-cy="image"]')
        if pictures.count():
            pictures.last.scroll_into_view_if_needed()
        self.page.screenshot(path=file)


@contextmanager
def opened(executable: str, address: str) -> Iterator[Browser]:
    """Runs Chromium without a window and signs in."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        try:
            context = chromium.new_context(locale="en-US", viewport={"width": 1200, "height": 1000})
            browser = Browser(context.new_page(), address)
            browser.sign_in()
            yield browser
        finally:
            chromium.close()


def digest_of(link: str) -> str:
    """Fetches a picture by its link, without cookies or keys, and names it by its bytes."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(link, timeout=10) as response:
        return hashlib.sha256(response.read()).hexdigest()
