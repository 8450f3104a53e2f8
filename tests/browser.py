"""Headless Chromium over the DevTools protocol: open a page, and say what it asked for and what went
wrong."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

import websocket

from bbatch.publishing import pdf

FLAGS = tuple(flag for flag in pdf.FLAGS if "host-resolver" not in flag) + (
    "--allow-file-access-from-files",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowRight": 39}
find = pdf.find_browser


class Browser:
    """One browser with one tab; a context manager."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [find(), *FLAGS, f"--user-data-dir={self.folder.name}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        address = Path(self.folder.name) / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not address.is_file() or len(address.read_text().split()) < 2:
            assert self.process.poll() is None and time.monotonic() < deadline, "Chromium did not start"
            time.sleep(0.1)
        port, path = address.read_text().split()
        self.socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}{path}", timeout=60, suppress_origin=True
        )
        self.count, self.session, self.events = 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.process.terminate()
        self.process.wait(30)
        self.folder.cleanup()

    def call(self, method: str, **parameters) -> dict:
        """Send a command and return its result; events that come meanwhile are kept."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        self.socket.send(json.dumps(message | ({"sessionId": self.session} if self.session else {})))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def visit(self, address: str, width: int, script: str):
        """Open `address` in a window of this width; returns what `script` evaluates to, and the list of
        troubles."""
        self.resize(width)
        self.events.clear()
        self.call("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self.socket.recv()))
        value = self.evaluate(script)
        home = address.rsplit("/", 1)[0].split("/book")[0].split("/notebooks")[0]
        return value, [text for event in self.events if (text := _trouble(event, home))]

    def resize(self, width: int) -> None:
        """Make the window this wide, in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )

    def evaluate(self, script: str):
        """What `script` evaluates to on the page that is open; promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, times: int = 1) -> None:
        """Press a key, as a reader does."""
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        for _ in range(times):
            for kind in ("keyDown", "keyUp"):
                self.call(
                    "Input.dispatchKeyEvent",
                    type=kind,
                    key=key,
                    windowsVirtualKeyCode=KEYS[key],
                    **(text if kind == "keyDown" else {}),
                )


def _trouble(event: dict, home: str) -> str | None:
    """What is wrong with an event on a page under the address `home`, or None."""
    method, about = event.get("method"), event.get("params", {})
    if method == "Network.requestWillBeSent":
        url = about["request"]["url"]
        return None if url.startswith((home, "file:", "data:", "blob:", "about:")) else f"asked for {url}"
    if method == "Network.loadingFailed":
        return f"could not load a {about['type']}: {about['errorText']}"
    if method == "Runtime.exceptionThrown":
        details = about["exceptionDetails"]
        return f"script error: {details.get('exception', details).get('description')}"
    if method == "Log.entryAdded" and about["entry"]["level"] == "error":
        return f"{about['entry']['text']} {about['entry'].get('url', '')}"
    if method == "Runtime.consoleAPICalled" and about["type"] == "error":
        return f"console error: {about['args']}"
    return None
