"""Draws with OpenAI's Python SDK through PicGate: python draw.py http://localhost:5643/v1 pg-…

Every picture comes back as a link that opens in a browser; what the links hold is checked as it goes.
Needs the package `openai`. Works with the built-in demo upstream as well as with a real one.
"""

import base64
import io
import re
import sys
import urllib.request

from openai import OpenAI

base_url, key = sys.argv[1], sys.argv[2]
client = OpenAI(base_url=base_url, api_key=key, max_retries=0)


def fetch(link: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(link) as response:
        assert response.headers["Content-Type"].startswith("image/"), response.headers
        body = response.read()
    print("link", link)
    return body


def links_in(text: str) -> list[str]:
    return re.findall(r"!\[[^\]]*\]\((http[^)]+/images/[0-9a-f-]{36})\)", text)


# Which models there are.
models = [model.id for model in client.models.list()]
assert models, "the gateway shows a model"
model = models[0]

# A picture as a link, and as base64.
drawn = client.images.generate(model=model, prompt="画一只橘猫在阳光下睡觉", response_format="url")
first = fetch(drawn.data[0].url)
drawn = client.images.generate(model=model, prompt="a red fox", n=2, size="512x512", response_format="b64_json")
assert len(drawn.data) == 2 and all(item.url is None for item in drawn.data)
fox = base64.b64decode(drawn.data[0].b64_json)
assert fox[:4] == b"\x89PNG"

# An edit of a picture that lies here.
edited = client.images.edit(model=model, image=("fox.png", io.BytesIO(fox), "image/png"), prompt="make the fox blue", response_format="url")
assert fetch(edited.data[0].url) != fox
edited = client.images.edit(model=model, image=[io.BytesIO(fox), io.BytesIO(first)], prompt="both together", response_format="url")
fetch(edited.data[0].url)

# A conversation: draw, then change what was drawn.
question = [{"role": "user", "content": "Draw a house by the sea"}]
answer = client.chat.completions.create(model=model, messages=question).choices[0].message.content
house = fetch(links_in(answer)[0])

conversation = [*question, {"role": "assistant", "content": answer}, {"role": "user", "content": "Now at night, everything blue"}]
text = ""
for event in client.chat.completions.create(model=model, messages=conversation, stream=True):
    if event.choices and event.choices[0].delta.content:
        text += event.choices[0].delta.content
        print(event.choices[0].delta.content, end="", flush=True)
print()
night = fetch(links_in(text)[0])
assert night != house
assert "base64" not in text and "base64" not in answer

# A picture of one's own in a conversation.
content = [
    {"type": "text", "text": "paint this green"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(fox).decode()}},
]
answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}]).choices[0].message.content
fetch(links_in(answer)[0])
print("all done")
