#!/usr/bin/env python3
"""Makes every icon from picgate.svg: the app's in all sizes, and the tray's for each state and panel.

Needs Node.js: Tauri's command line draws them (npx fetches it). Run it after a change of picgate.svg and commit what it
makes: `make icons`.
"""

import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLI = "@tauri-apps/cli@2.12.5"
SVG = "{http://www.w3.org/2000/svg}"
APP = ["32x32.png", "128x128.png", "128x128@2x.png", "icon.png", "icon.icns", "icon.ico"]
TRAY_SIZE = 64
# The glyph without the plate's margin, so that it fills the tray.
TRAY_BOX = "8 6.5 50 50"
# What is shown in each state; the badge bites into the gate.
STATES = {
    "idle": {"gate", "picture", "sun"},
    "busy": {"gate", "picture", "busy"},
    "paused": {"gate", "bars"},
    "error": {"gate", "picture", "error"},
}
# Colour of the glyph on panels of each kind. A template is a shape in black that macOS colours itself.
PANELS = {"dark": "#ffffff", "light": "#2a2740", "template": "#000000"}


def variant(state: str, panel: str) -> ET.ElementTree:
    tree = ET.parse(HERE / "picgate.svg")
    root = tree.getroot()
    root.set("viewBox", TRAY_BOX)
    root.set("color", PANELS[panel])
    shown = STATES[state]
    for parent in list(root.iter()):
        for child in list(parent):
            name = child.get("id")
            if name in {"plate"} | {part for parts in STATES.values() for part in parts} and name not in shown:
                parent.remove(child)
            elif name in shown:
                child.attrib.pop("display", None)
    if shown & {"busy", "error"}:
        root.find(f"{SVG}g[@id='glyph']").set("mask", "url(#notch)")
    for part in root.iter():
        if part.get("id") == "sun":
            part.set("fill", "currentColor")
    if panel == "template":
        for name in ("busy", "error"):
            for badge in root.iterfind(f"{SVG}g[@id='{name}']"):
                cut(root, badge)
    return tree


def cut(root: ET.Element, badge: ET.Element) -> None:
    """A template has no colours: the sign on the badge becomes a hole."""
    circle, sign = badge
    circle.set("fill", "#000000")
    mask = ET.SubElement(root, f"{SVG}mask", {"id": "hole"})
    ET.SubElement(mask, f"{SVG}rect", {"width": "64", "height": "64", "fill": "#fff"})
    badge.remove(sign)
    sign.set("stroke", "#000")
    mask.append(sign)
    badge.set("mask", "url(#hole)")


def draw(source: Path, out: Path, *options: str) -> None:
    command = ["npx", "--yes", CLI, "icon", str(source), "--output", str(out), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> int:
    ET.register_namespace("", SVG[1:-1])
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        draw(HERE / "picgate.svg", work)
        for name in APP:
            shutil.copy(work / name, HERE / name)
        (HERE / "tray").mkdir(exist_ok=True)
        for state in STATES:
            for panel in PANELS:
                source = work / f"{state}.svg"
                variant(state, panel).write(source)
                draw(source, work / "tray", "--png", str(TRAY_SIZE))
                shutil.copy(work / "tray" / f"{TRAY_SIZE}x{TRAY_SIZE}.png", HERE / "tray" / f"{state}-{panel}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
