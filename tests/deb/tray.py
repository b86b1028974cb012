"""Run in a fresh Debian by .ci/deb-check, on a display and a bus of its own: the tray icon registers, its menu opens windows and
switches the start at login, and the program ends when it is told to. Plays the part of a panel."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import dbus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

WATCHER = "org.kde.StatusNotifierWatcher"
PATIENCE = 60


class Watcher(dbus.service.Object):
    """Notes whoever registers."""

    def __init__(self, bus):
        super().__init__(bus, "/StatusNotifierWatcher")
        self.items = []

    @dbus.service.method(WATCHER, in_signature="s", sender_keyword="sender")
    def RegisterStatusNotifierItem(self, service, sender=None):
        self.items.append((sender, service) if service.startswith("/") else (service, "/StatusNotifierItem"))

    @dbus.service.method(WATCHER, in_signature="s")
    def RegisterStatusNotifierHost(self, service):
        pass

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        return {"IsStatusNotifierHostRegistered": True, "ProtocolVersion": 0}.get(name, dbus.Array([], signature="s"))

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="s", out_signature="a{sv}")
    def GetAll(self, interface):
        return {"IsStatusNotifierHostRegistered": True, "ProtocolVersion": 0}


def until(condition, what):
    context, deadline = GLib.MainContext.default(), time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for {what}")
        context.iteration(False)
        time.sleep(0.02)


def windows():
    """The titles of all windows, in a text."""
    return subprocess.run(["xwininfo", "-root", "-tree"], capture_output=True, text=True, check=True).stdout


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.SessionBus()
    name = dbus.service.BusName(WATCHER, bus)
    watcher = Watcher(bus)
    app = subprocess.Popen(["picgate", "--hidden"], env={**os.environ, "PORT": "5698"})
    try:
        until(lambda: watcher.items or app.poll() is not None, "the tray icon")
        assert app.poll() is None, f"it ended with {app.returncode}"
        service, path = watcher.items[0]
        item = dbus.Interface(bus.get_object(service, path), "org.freedesktop.DBus.Properties")
        menu_path = item.Get("org.kde.StatusNotifierItem", "Menu")
        menu = dbus.Interface(bus.get_object(service, menu_path), "com.canonical.dbusmenu")
        _, (_, _, entries) = menu.GetLayout(0, -1, dbus.Array([], signature="s"))
        labels = [str(entry[1].get("label", "")) for entry in entries]
        print("tray:", [label for label in labels if label])
        assert len(labels) > 8, labels

        def click(label):
            menu.Event(entries[labels.index(label)][0], "clicked", dbus.Int32(0), dbus.UInt32(0))

        click("Dashboard")
        until(lambda: any("Dashboard" in line and "PicGate" in line for line in windows().splitlines()), "the window")
        entry = pathlib.Path.home() / ".config/autostart/PicGate.desktop"
        click("Start at login")
        until(entry.exists, "the start at login")
        until(lambda: "Exec=/usr/bin/picgate --hidden" in entry.read_text().replace('"', "").splitlines(), "its command")
        click("Start at login")
        until(lambda: not entry.exists(), "no start at login")
        app.send_signal(signal.SIGTERM)
        until(lambda: app.poll() is not None, "the end")
    finally:
        if app.poll() is None:
            app.kill()
    del name


if __name__ == "__main__":
    main()
