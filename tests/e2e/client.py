"""Sets up the real Open WebUI: a fresh data folder, nothing from the internet, PicGate as its connection.

The settings are those that a person would make in its admin panel, given as environment variables.
"""

import json
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from processes import Processes

EMAIL = "admin@example.com"
PASSWORD = secrets.token_urlsafe(12)
# Its first start makes a database and imports much; a machine that builds at the same time takes minutes.
START_SECONDS = 300


@dataclass
class Connections:
    """Where Open WebUI finds PicGate and the free text model."""

    gateway_url: str
    gateway_key: str
    text_url: str


def start(processes: Processes, port: int, data: Path, connections: Connections) -> str:
    """Starts Open WebUI, waits until it answers, and returns its address for the browser."""
    data.mkdir(parents=True)
    program = Path(sys.executable).parent / "open-webui"
    command = [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)]
    processes.start("open-webui", command, environment(data, connections), data)
    address = f"http://localhost:{port}"
    processes.wait_for("open-webui", f"http://127.0.0.1:{port}/health", START_SECONDS)
    return address


def environment(data: Path, connections: Connections) -> dict[str, str]:
    """Returns every setting that differs from Open WebUI's defaults."""
    return _quiet(data) | _chat(connections) | _images(connections)


def _quiet(data: Path) -> dict[str, str]:
    """Keeps it at home: no models downloaded, no updates looked for, no telemetry, no message boxes at the first visit."""
    return {
        "DATA_DIR": str(data),
        "WEBUI_SECRET_KEY": secrets.token_hex(16),
        "WEBUI_ADMIN_EMAIL": EMAIL,
        "WEBUI_ADMIN_PASSWORD": PASSWORD,
        "OFFLINE_MODE": "True",
        "HF_HUB_OFFLINE": "1",
        "ENABLE_VERSION_UPDATE_CHECK": "False",
        "ENABLE_OLLAMA_API": "False",
        # The default engine would load a model for embeddings; nothing is embedded here.
        "RAG_EMBEDDING_ENGINE": "openai",
        "ANONYMIZED_TELEMETRY": "False",
        "DO_NOT_TRACK": "True",
        "SCARF_NO_ANALYTICS": "True",
        "DEFAULT_INTERFACE_SETTINGS": json.dumps({"showChangelog": False, "showUpdateToast": False}),
    }


def _chat(connections: Connections) -> dict[str, str]:
    return {
        "ENABLE_OPENAI_API": "True",
        "OPENAI_API_BASE_URLS": f"{connections.gateway_url};{connections.text_url}",
        "OPENAI_API_KEYS": f"{connections.gateway_key};none",
        "DEFAULT_MODELS": "picgate",
    }


def _images(connections: Connections) -> dict[str, str]:
    return {
        "ENABLE_IMAGE_GENERATION": "True",
        "IMAGE_GENERATION_ENGINE": "openai",
        "IMAGE_GENERATION_MODEL": "picgate",
        "IMAGES_OPENAI_API_BASE_URL": connections.gateway_url,
        "IMAGES_OPENAI_API_KEY": connections.gateway_key,
        "ENABLE_IMAGE_EDIT": "True",
        "IMAGE_EDIT_ENGINE": "openai",
        "IMAGE_EDIT_MODEL": "picgate",
        "IMAGES_EDIT_OPENAI_API_BASE_URL": connections.gateway_url,
        "IMAGES_EDIT_OPENAI_API_KEY": connections.gateway_key,
    }
