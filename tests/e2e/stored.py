"""Looks into Open WebUI's database: its chats shall hold links and no pictures."""

import re
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

# Where Open WebUI keeps conversations. What users upload lies in files and is none of our business.
TABLES = ("chat", "chat_message")
LINK = re.compile(r"(https?://[^\s\"'()\\]+)/images/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
BASE64 = re.compile(r"data:image|[A-Za-z0-9+/]{2000,}")


@dataclass
class Stored:
    """What the conversations hold."""

    links: set[str] = field(default_factory=set)
    bases: set[str] = field(default_factory=set)
    base64: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    size: int = 0


def read(database: Path) -> Stored:
    """Searches every text of every conversation."""
    stored = Stored()
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        known = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        for table in TABLES:
            if table in known:
                _search(connection, table, stored)
        stored.titles = [title for (title,) in connection.execute("select title from chat")]
    finally:
        connection.close()
    return stored


def _search(connection: sqlite3.Connection, table: str, stored: Stored) -> None:
    for row in connection.execute(f"select * from {table}"):
        for value in row:
            text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
            stored.size += len(text)
            for match in LINK.finditer(text):
                stored.links.add(match.group(0))
                stored.bases.add(match.group(1))
            stored.base64 += [f"{table}: {match.group(0)[:40]}…" for match in BASE64.finditer(text)]
