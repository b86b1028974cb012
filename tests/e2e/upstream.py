"""The provider that costs money, and a free model for texts: OpenAI's dialect, answered by this process.

Every call is written down, with the pictures that came along and the one that was drawn. Every POST to the paid side
counts as paid, also when what was asked for is no drawing: a real image model draws, and charges, for a title as well.
"""

import asyncio
import base64
import json
import re
import threading
import time
from dataclasses import dataclass, field

from aiohttp import web

from pictures import png, sha256

PAID_MODEL = "gemini-2.5-flash-image"
TEXT_MODEL = "text-assistant"
# Relays cut a picture wherever a buffer of theirs ends.
DELTA_CHARACTERS = 40_000
DATA_URL = re.compile(r"data:image/[a-z+]+;base64,([A-Za-z0-9+/=]+)")
FILE_LINK = re.compile(r"/api/v1/files/[0-9a-f-]{36}/content")
BODY_MAX = 256 * 1024 * 1024


@dataclass
class Call:
    """One paid call."""

    path: str
    prompt: str
    task: bool
    began: float
    pictures: list[str] = field(default_factory=list)
    tools: bool = False
    # All texts of the conversation.
    texts: str = ""
    drawn: str | None = None
    ended: float | None = None


class Upstream:
    """Serves in a thread of its own, because the browser's driver wants the main one."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.draw_seconds = 1.0
        self.calls: list[Call] = []
        self.text_calls: list[dict[str, object]] = []
        self.numbers = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="upstream", daemon=True)
        self._ready = threading.Event()

    @property
    def paid_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/paid/v1"

    @property
    def text_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/text/v1"

    def __enter__(self) -> "Upstream":
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the fake upstream does not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def running(self) -> int:
        """Returns how many paid calls have not been answered yet."""
        return sum(call.ended is None for call in self.calls)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        self._ready.set()
        self._loop.run_forever()

    async def _listen(self) -> None:
        app = web.Application(client_max_size=BODY_MAX)
        app.router.add_get("/paid/v1/models", _models(PAID_MODEL))
        app.router.add_post("/paid/v1/chat/completions", self._chat)
        app.router.add_post("/paid/v1/images/generations", self._images)
        app.router.add_post("/paid/v1/images/edits", self._images)
        app.router.add_get("/text/v1/models", _models(TEXT_MODEL))
        app.router.add_post("/text/v1/chat/completions", self._text)
        # A drawing goes on when the client leaves, as with a real provider, and is paid for all the same.
        runner = web.AppRunner(app, handler_cancellation=False)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        """Answers a conversation with text, a picture and text again; a background task of the client with JSON."""
        body = await request.json()
        call = _read_chat(body)
        self.calls.append(call)
        try:
            pieces = await self._answer(call)
            return await _send(request, body, pieces)
        finally:
            call.ended = time.monotonic()

    async def _answer(self, call: Call) -> list[str]:
        if call.task:
            return ['{"title": "written by the paid model", "tags": ["paid"], "follow_ups": ["paid?"]}']
        number, picture = await self._draw(call)
        encoded = f"![image](data:image/png;base64,{base64.b64encode(picture).decode()})"
        split = [encoded[at : at + DELTA_CHARACTERS] for at in range(0, len(encoded), DELTA_CHARACTERS)]
        return [f"Here is picture number {number}:\n\n", *split, f"\n\nThat was number {number}."]

    async def _images(self, request: web.Request) -> web.Response:
        """Answers the Images API, whether an edit comes as a form or as JSON."""
        if request.content_type == "multipart/form-data":
            call = await _read_form(request)
        else:
            call = _read_images_json(request.path, await request.json())
        self.calls.append(call)
        try:
            _, picture = await self._draw(call)
            return web.json_response({"created": 1, "data": [{"b64_json": base64.b64encode(picture).decode()}]})
        finally:
            call.ended = time.monotonic()

    async def _draw(self, call: Call) -> tuple[int, bytes]:
        """Takes its time and draws the next picture."""
        self.numbers += 1
        number = self.numbers
        picture = png(number)
        call.drawn = sha256(picture)
        await asyncio.sleep(self.draw_seconds)
        return number, picture

    async def _text(self, request: web.Request) -> web.StreamResponse:
        """The free model. It uses Open WebUI's own image tools where they are offered, else it answers in words."""
        body = await request.json()
        self.text_calls.append(body)
        tool = _image_tool(body)
        if tool is None:
            return await _send(request, body, ["The text model has answered."])
        return await _send(request, body, [], tool_call=tool)


def _models(name: str):
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model", "owned_by": "test"}]})

    return answer


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [part["text"] for part in parts if isinstance(part.get("text"), str)]


def _links(content: object) -> list[str]:
    """Returns the addresses in the image parts of one message."""
    parts = content if isinstance(content, list) else []
    urls = [part["image_url"] for part in parts if part.get("type") == "image_url"]
    return [url["url"] if isinstance(url, dict) else url for url in urls]


def _decode(encoded: str) -> str:
    return sha256(base64.b64decode(encoded))


def _read_chat(body: dict[str, object]) -> Call:
    """Notes what a chat request brought: the last thing the user said, and every picture by its digest."""
    messages = body["messages"]
    texts = [text for message in messages for text in _texts(message["content"])]
    users = [text for message in messages if message["role"] == "user" for text in _texts(message["content"])]
    pictures = [_decode(match) for message in messages for url in _links(message["content"]) for match in DATA_URL.findall(url)]
    prompt = users[-1] if users else ""
    return Call(
        path="chat/completions",
        prompt=prompt,
        task=prompt.lstrip().startswith("### Task:"),
        began=time.monotonic(),
        pictures=pictures,
        tools="tools" in body,
        texts="\n".join(texts),
    )


async def _read_form(request: web.Request) -> Call:
    call = Call(path=request.path.removeprefix("/paid/v1/"), prompt="", task=False, began=time.monotonic())
    async for part in await request.multipart():
        if part.name and part.name.startswith("image"):
            call.pictures.append(sha256(await part.read()))
        elif part.name == "prompt":
            call.prompt = await part.text()
        else:
            await part.read()
    return call


def _read_images_json(path: str, body: dict[str, object]) -> Call:
    return Call(
        path=path.removeprefix("/paid/v1/"),
        prompt=str(body.get("prompt", "")),
        task=False,
        began=time.monotonic(),
        pictures=[_decode(match) for match in DATA_URL.findall(json.dumps(body))],
    )


def _image_tool(body: dict[str, object]) -> dict[str, object] | None:
    """Decides like a text model: after the user spoke, draw, or change the newest picture if there is one."""
    messages = body["messages"]
    offered = {tool["function"]["name"] for tool in body.get("tools", [])}
    if messages[-1]["role"] != "user" or "generate_image" not in offered:
        return None
    prompt = _texts(messages[-1]["content"])[-1]
    known = FILE_LINK.findall(json.dumps(messages))
    if known and "edit_image" in offered:
        return {"name": "edit_image", "arguments": json.dumps({"prompt": prompt, "image_urls": [known[-1]]})}
    return {"name": "generate_image", "arguments": json.dumps({"prompt": prompt})}


async def _send(
    request: web.Request, body: dict[str, object], pieces: list[str], tool_call: dict[str, object] | None = None
) -> web.StreamResponse:
    """Sends an answer in pieces if a stream was asked for, else whole."""
    calls = [{"index": 0, "id": f"call_{time.monotonic_ns()}", "type": "function", "function": tool_call}] if tool_call else None
    reason = "tool_calls" if calls else "stop"
    if not body.get("stream"):
        message = {"role": "assistant", "content": "".join(pieces), **({"tool_calls": calls} if calls else {})}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return web.json_response({"id": "chat", "object": "chat.completion", "model": body["model"], "choices": [choice]})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    try:
        await response.prepare(request)
        for piece in pieces:
            await response.write(_event({"content": piece}, None))
        if calls:
            await response.write(_event({"role": "assistant", "content": None, "tool_calls": calls}, None))
        await response.write(_event({}, reason) + b"data: [DONE]\n\n")
        await response.write_eof()
    except ConnectionError:
        pass  # Whoever asked has left. The drawing has been made and paid for.
    return response


def _event(delta: dict[str, object], reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + json.dumps({"id": "chat", "object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"
