#!/usr/bin/env python3
"""Opens a report in Chromium and uses it as a reader does: sorts, filters, prints, narrows, darkens; Python's own library only.

    report_chromium.py REPORT.html                     one line a failure, exit code 1 when there is any
    report_chromium.py --reference REPORT.html         the same, and the first screen against report_reference.png (of report_small.yaml)
    report_chromium.py --write-reference REPORT.html   writes that picture instead
    report_chromium.py --pictures DIR REPORT.html      also keeps screenshots there: wide and narrow, light and dark
"""

import argparse
import base64
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

REFERENCE = pathlib.Path(__file__).with_name("report_reference.png")
WIDTH, HEIGHT = 1200, 900
# Fonts and versions of the browser move letters by pixels; a missing part or a broken layout changes whole blocks.
BLOCKS = (12, 9)
# Of luminance 0..255: mean over all blocks, and in the worst one.
MEAN_TOLERANCE, WORST_TOLERANCE = 5.0, 60.0
SECONDS = 60


class WebSocket:
    """As much of RFC 6455 as a client of one local server needs."""

    def __init__(self, url):
        host, port, path = re.fullmatch(r"ws://([^:/]+):(\d+)(/.*)", url).groups()
        self.socket = socket.create_connection((host, int(port)), timeout=SECONDS)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self._some()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise OSError(f"expected a websocket, found {head[:80]!r}")

    def _some(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise OSError("the browser closed the connection")
        return data

    def _take(self, size):
        parts, length = [self.buffer], len(self.buffer)
        while length < size:
            parts.append(self._some())
            length += len(parts[-1])
        whole = b"".join(parts)
        self.buffer = whole[size:]
        return whole[:size]

    def send(self, text):
        data = text.encode()
        size = len(data)
        head = bytes([0x81])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 1 << 16:
            head += bytes([0x80 | 126]) + struct.pack(">H", size)
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", size)
        # A mask of zeros is a mask too.
        self.socket.sendall(head + bytes(4) + data)

    def receive(self):
        text = b""
        while True:
            first, second = self._take(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack(">H", self._take(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", self._take(8))
            data = self._take(size)
            if first & 0x0F in (0, 1):
                text += data
                if first & 0x80:
                    return text.decode()
            elif first & 0x0F == 8:
                raise OSError("the browser closed the connection")


class Browser:
    """A browser of its own, without a window, and one page in it."""

    def __init__(self):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            raise SystemExit("expected chromium on the path, found none")
        self.folder = tempfile.mkdtemp()
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1",
             "--disable-background-networking", "--no-first-run", "--remote-debugging-port=0",
             f"--user-data-dir={self.folder}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
        )
        for line in self.process.stderr:
            found = re.search(r"DevTools listening on (ws://\S+)", line)
            if found:
                break
        else:
            raise SystemExit("chromium ended before it could be spoken to")
        # What it goes on to say is read by nobody, and must not fill the pipe.
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self.socket = WebSocket(found.group(1))
        self.number, self.session, self.events = 0, None, []
        page = self.call("Target.createTarget", url="about:blank")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        self.session = None
        try:
            self.call("Browser.close")
            self.process.wait(10)
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.receive())
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url):
        """Loads a page and returns what it complained of."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        until = time.monotonic() + SECONDS
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            if time.monotonic() > until:
                raise OSError(f"not loaded after {SECONDS} seconds: {url}")
            self.events.append(json.loads(self.socket.receive()))
        # What the page does once it is there.
        self.evaluate("1")
        time.sleep(0.3)
        self.evaluate("1")
        return self.complaints()

    def complaints(self):
        found = []
        for event in self.events:
            about = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                details = about["exceptionDetails"]
                found.append(f"exception: {details.get('exception', {}).get('description', details['text'])}")
            elif event.get("method") == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
                found.append(f"console {about['type']}: {about['args'][:1]}")
            elif event.get("method") == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
                found.append(f"{about['entry']['level']}: {about['entry']['text']}")
        return found

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def click(self, element):
        """A click of the mouse in the middle of an element, which is an expression."""
        x, y = self.evaluate(
            f"(() => {{ const e = {element}; e.scrollIntoView({{behavior: 'instant', block: 'center', inline: 'center'}});"
            " const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, name, code, **more):
        key = {"key": name, "code": name, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **more, **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def press_enter(self, element):
        focused = self.evaluate(f"(() => {{ const e = {element}; e.focus(); return document.activeElement === e; }})()")
        self.press("Enter", 13, text="\r")
        return focused

    def window(self, width, height, scheme="light"):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", media="screen", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self):
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


def decode_png(data):
    """Width, height and rows of luminance of a PNG of 8 bits a channel, RGB or RGBA, not interlaced."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("expected a PNG")
    at, packed, head = 8, b"", None
    while at < len(data):
        (size,) = struct.unpack(">I", data[at:at + 4])
        kind, content = data[at + 4:at + 8], data[at + 8:at + 8 + size]
        head = struct.unpack(">IIBBBBB", content) if kind == b"IHDR" else head
        packed += content if kind == b"IDAT" else b""
        at += 12 + size
    width, height, depth, colour, _, _, interlaced = head
    if depth != 8 or colour not in (2, 6) or interlaced:
        raise ValueError(f"expected 8 bits of RGB or RGBA in one pass, found {head}")
    step = 3 if colour == 2 else 4
    raw, stride = zlib.decompress(packed), width * step
    before, rows = bytearray(stride), []
    for y in range(height):
        start = y * (stride + 1)
        kind, line = raw[start], bytearray(raw[start + 1:start + 1 + stride])
        if kind == 1:
            for i in range(step, stride):
                line[i] = (line[i] + line[i - step]) & 255
        elif kind == 2:
            for i in range(stride):
                line[i] = (line[i] + before[i]) & 255
        elif kind == 3:
            for i in range(stride):
                line[i] = (line[i] + ((line[i - step] if i >= step else 0) + before[i]) // 2) & 255
        elif kind == 4:
            for i in range(stride):
                a, b, c = (line[i - step] if i >= step else 0), before[i], (before[i - step] if i >= step else 0)
                p = a + b - c
                pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
                line[i] = (line[i] + (a if pa <= pb and pa <= pc else b if pb <= pc else c)) & 255
        red, green, blue = line[0::step], line[1::step], line[2::step]
        rows.append([0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in zip(red, green, blue)])
        before = line
    return width, height, rows


def block_means(data):
    width, height, rows = decode_png(data)
    if (width, height) != (WIDTH, HEIGHT):
        raise ValueError(f"expected {WIDTH} x {HEIGHT} pixels, found {width} x {height}")
    wide, high = width // BLOCKS[0], height // BLOCKS[1]
    return [
        sum(sum(row[x * wide:(x + 1) * wide]) for row in rows[y * high:(y + 1) * high]) / (wide * high)
        for y in range(BLOCKS[1])
        for x in range(BLOCKS[0])
    ]


TABLE = "document.getElementById('rows')"
# Numbers of a column in the order shown; what is empty or no number is left out.
VALUES = """(at) => [...document.getElementById('rows').tBodies[0].rows].filter((row) => !row.hidden)
  .map((row) => parseFloat(row.cells[at].textContent.trim())).filter((value) => !Number.isNaN(value))"""
SHOWN = "[...document.getElementById('rows').tBodies[0].rows].filter((row) => row.getClientRects().length > 0)"


def sorting(browser, fail):
    column = browser.evaluate(f"[...{TABLE}.tHead.rows[0].cells].findIndex((head) => head.textContent.trim().startsWith('AUROC'))")
    if column is None or column < 0:
        fail("sorting: no column AUROC")
        return
    head = f"{TABLE}.tHead.rows[0].cells[{column}]"
    button = f"{head}.querySelector('button')"
    # Rows beyond a limit are hidden: all of them shall be compared.
    browser.evaluate("document.querySelector('button.more')?.click()")
    start = browser.evaluate(f"({VALUES})({column})")
    down = sorted(start, reverse=True)
    for how, act in (("click", browser.click), ("Enter", browser.press_enter)):
        for state, expected in (("descending", down), ("ascending", down[::-1]), ("none", start)):
            if act(button) is False:
                fail(f"sorting by {how}: the button takes no focus")
            found = browser.evaluate(f"{head}.getAttribute('aria-sort')")
            if found != state:
                fail(f"sorting by {how}: expected aria-sort {state}, found {found}")
            if browser.evaluate(f"({VALUES})({column})") != expected:
                fail(f"sorting by {how}: the rows are not in the order {state}")
            others = browser.evaluate(f"{TABLE}.querySelectorAll('th[aria-sort=ascending], th[aria-sort=descending]').length")
            if others != (state != "none"):
                fail(f"sorting by {how}: {others} columns say that they are sorted")


def filtering(browser, fail):
    everything = browser.evaluate(f"{SHOWN}.length")
    word = browser.evaluate(
        f"""(() => {{ const rows = [...{TABLE}.tBodies[0].rows].map((row) => row.textContent.toLowerCase());
        const words = new Set([...{TABLE}.tBodies[0].rows].flatMap((row) => [...row.cells].slice(0, 6).map((cell) => cell.textContent.toLowerCase())));
        return [...words].find((word) => /^[a-z]{{3,}}$/.test(word) && rows.some((row) => !row.includes(word))
          && rows.some((row) => row.includes(word))) ?? null; }})()"""
    )
    if word is None:
        fail("filter: no word that some rows have and others do not")
        return
    browser.evaluate("document.getElementById('rows-text').focus()")
    browser.call("Input.insertText", text=word.upper())
    texts = browser.evaluate(f"{SHOWN}.map((row) => row.textContent.toLowerCase())")
    has = browser.evaluate(f"[...{TABLE}.tBodies[0].rows].filter((row) => row.textContent.toLowerCase().includes({json.dumps(word)})).length")
    if len(texts) != has or not all(word in text for text in texts) or not 0 < has:
        fail(f"filter: {word!r} is in {has} rows, {len(texts)} are shown")
    said = browser.evaluate("document.getElementById('rows-count').textContent")
    if not said.startswith(f"{has} of "):
        fail(f"filter: {has} rows are left, the page says {said!r}")
    browser.click("document.getElementById('rows-clear')")
    if browser.evaluate(f"{SHOWN}.length") != everything:
        fail("filter: after clearing it not all rows are back")


def links(browser, fail):
    lost = browser.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.getAttribute('href')).filter((to) => !document.getElementById(to.slice(1)))")
    if lost:
        fail(f"links: {len(lost)} lead nowhere, {lost[0]} first")
    if not browser.evaluate("document.querySelectorAll('details.run').length"):
        return  # A comparison has no runs of its own.
    runs = browser.evaluate("document.querySelectorAll('#rows a[href^=\"#run-\"]').length")
    if not runs:
        fail("links: no row leads to its run")
        return
    browser.evaluate("document.querySelector('#rows a[href^=\"#run-\"]').click()")
    time.sleep(0.2)
    if not browser.evaluate("document.getElementById(location.hash.slice(1))?.open === true"):
        fail("links: the run that a row leads to stays folded")


def files(browser, page, fail):
    """Relative links lead to files of the folder."""
    for name in sorted(set(browser.evaluate("[...document.querySelectorAll('a:not([href^=\"#\"])')].map((a) => a.href)"))):
        path = browser.evaluate(f"decodeURIComponent(new URL({json.dumps(name)}).pathname)")
        if not pathlib.Path(path).is_file():
            fail(f"links: no file {os.path.relpath(path, page.parent)}")


def narrow(browser, fail):
    browser.window(375, 812)
    width = browser.evaluate("document.documentElement.scrollWidth")
    if width > 375:
        fail(f"375 pixels wide: the page takes {width}")
    browser.window(WIDTH, HEIGHT)


def dark(browser, fail):
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3"
    for scheme, fits in (("dark", lambda value: value < 64), ("light", lambda value: value > 192)):
        browser.window(WIDTH, HEIGHT, scheme)
        found = browser.evaluate(brightness)
        if not fits(found):
            fail(f"{scheme} theme: the background's brightness is {found:.0f} of 255")


def printing(browser, fail):
    pdf = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    if not pdf.startswith(b"%PDF-") or len(pdf) < 10_000:
        fail(f"printing: expected a PDF, found {len(pdf)} bytes that begin {pdf[:5]!r}")


def without_scripts(browser, url, rows, fail):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(url)
    # The tools of the browser still run expressions where the page's scripts do not.
    found = browser.evaluate(f"{SHOWN}.length")
    if found != rows:
        fail(f"without scripts: {found} of {rows} rows are shown")
    if browser.evaluate(f"{TABLE}.querySelectorAll('button').length + document.querySelectorAll('.controls:not([hidden])').length"):
        fail("without scripts: there are controls that do nothing")
    browser.call("Emulation.setScriptExecutionDisabled", value=False)


# Of every text outside drawings the least contrast with what lies behind it, as WCAG 2 defines it, and which text that is.
CONTRAST = """(() => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (colour) => { paint.clearRect(0, 0, 1, 1); paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1); return [...paint.getImageData(0, 0, 1, 1).data]; };
  const light = (colour) => { const [r, g, b] = channels(colour).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (element) => { for (let e = element; e; e = e.parentElement) { const colour = getComputedStyle(e).backgroundColor;
    if (channels(colour)[3] === 255) return colour; } return "white"; };
  const known = new Map();
  let least = [Infinity, ""];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || element.closest("svg, script, style, .skip") || !element.getClientRects().length) continue;
    const colours = [getComputedStyle(element).color, behind(element)];
    const key = colours.join(" on ");
    if (!known.has(key)) { const [x, y] = colours.map(light); known.set(key, (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05)); }
    if (known.get(key) < least[0]) least = [known.get(key), `${key}: ${node.textContent.trim().slice(0, 60)}`];
  }
  return least;
})()"""


def structure(browser, fail):
    levels = browser.evaluate("[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map((head) => Number(head.tagName[1]))")
    if levels[:1] != [1] or levels.count(1) != 1 or any(after > before + 1 for before, after in zip(levels, levels[1:])):
        fail(f"headings: expected one h1, first, and no level left out, found {levels}")
    twice = browser.evaluate("(() => { const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); return ids.filter((id, at) => ids.indexOf(id) !== at); })()")
    if twice:
        fail(f"ids: {len(twice)} come twice, {twice[0]} first")


def asks_for(browser, url, fail):
    """Loads the page once more and looks at what it asks for: itself."""
    browser.call("Network.enable")
    browser.open(url)
    asked = [event["params"]["request"]["url"] for event in browser.events if event.get("method") == "Network.requestWillBeSent"]
    others = [other for other in asked if other != url and not other.startswith("data:")]
    if others or url not in asked:
        fail(f"network: expected the page alone, found {others or asked}")
    browser.call("Network.disable")


def contrast(browser, fail):
    for scheme in ("light", "dark"):
        browser.window(WIDTH, HEIGHT, scheme)
        least, where = browser.evaluate(CONTRAST)
        if least < 4.5:
            fail(f"{scheme} theme: contrast {least:.2f} of {where}; at least 4.5 can be read by most")
    browser.window(WIDTH, HEIGHT)


def theme_kept(browser, url, fail):
    background = "getComputedStyle(document.body).backgroundColor"
    before = browser.evaluate(background)
    browser.click("document.querySelector('button.theme')")
    chosen = browser.evaluate(background)
    browser.open(url)
    if chosen == before or browser.evaluate(background) != chosen:
        fail(f"theme: {before} before its button, {chosen} after it, {browser.evaluate(background)} when opened again")
    browser.evaluate("localStorage.clear()")
    browser.open(url)


def stops(browser, url, fail):
    """By keyboard: first the link over the head of the page, and every stop can be seen."""
    browser.open(url)
    browser.press("Tab", 9)
    if not browser.evaluate("document.activeElement.className === 'skip' && document.activeElement.getBoundingClientRect().top >= 0"):
        fail("keyboard: the first stop is not the link to the content, or it does not show")
    browser.press("Enter", 13, text="\r")
    if browser.evaluate("document.activeElement.id") != "main":
        fail("keyboard: the link to the content does not lead there")
    for _ in range(30):
        browser.press("Tab", 9)
        tag, style, width = browser.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e); return [e.outerHTML.slice(0, 80), s.outlineStyle, s.outlineWidth]; })()"
        )
        if tag.startswith("<body"):
            return  # Behind the last stop.
        if style == "none" or width == "0px":
            fail(f"keyboard: nothing shows the stop at {tag}")
            return


def unfolded(browser, fail):
    """Printing opens everything; a narrow page with everything open still fits."""
    browser.window(375, 812)
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    folded = browser.evaluate("document.querySelectorAll('details:not([open])').length")
    if folded:
        fail(f"printing: {folded} parts stay folded")
    width = browser.evaluate("document.documentElement.scrollWidth")
    if width > 375:
        fail(f"375 pixels wide, all unfolded: the page takes {width}")
    browser.evaluate("dispatchEvent(new Event('afterprint'))")
    browser.window(WIDTH, HEIGHT)


# A sweep's table, and how long a reader waits for it.
MANY, PATIENCE_MS = 5000, 3000


def many_rows(browser, page, fail):
    text = page.read_text()
    start = text.index("<tbody>", text.index('id="rows"')) + len("<tbody>")
    end = text.index("</tbody>", start)
    rows = text[start:end]
    times = -(-MANY // rows.count("<tr"))
    with tempfile.TemporaryDirectory() as folder:
        large = pathlib.Path(folder) / "large.html"
        large.write_text(text[:start] + rows * times + text[end:])
        browser.open(large.as_uri())
        took = browser.evaluate(
            f"""(async () => {{
              const button = [...{TABLE}.tHead.rows[0].cells].find((head) => head.textContent.includes("AUROC")).firstChild;
              const words = document.getElementById("rows-text"), times = [];
              const timed = async (work) => {{ const start = performance.now(); work(); document.body.offsetHeight;
                await new Promise((done) => requestAnimationFrame(() => setTimeout(done))); times.push(Math.round(performance.now() - start)); }};
              const type = (text) => {{ words.value = text; words.dispatchEvent(new Event("input")); }};
              await timed(() => button.click());
              await timed(() => type("mse"));
              await timed(() => type(""));
              return times;
            }})()"""
        )
    print(f"{times * rows.count('<tr')} rows, {times * len(rows) / 1e6:.1f} MB: sorted in {took[0]} ms, filtered in {took[1]} ms, all again in {took[2]} ms")
    if max(took) > PATIENCE_MS:
        fail(f"many rows: {took} ms, at most {PATIENCE_MS}")


def same_picture(data, fail):
    differences = [abs(a - b) for a, b in zip(block_means(data), block_means(REFERENCE.read_bytes()))]
    mean, worst = sum(differences) / len(differences), max(differences)
    print(f"first screen against the reference: mean difference {mean:.2f}, worst block {worst:.2f} of 255")
    if mean > MEAN_TOLERANCE or worst > WORST_TOLERANCE:
        fail(f"first screen: blocks differ by {mean:.2f} in the mean, {worst:.2f} at most; allowed are {MEAN_TOLERANCE} and {WORST_TOLERANCE}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("--write-reference", action="store_true")
    parser.add_argument("--pictures", type=pathlib.Path)
    arguments = parser.parse_args()
    page = arguments.report.resolve(strict=True)
    failures = []
    browser = Browser()
    try:
        browser.window(WIDTH, HEIGHT)
        failures.extend(f"loading: {complaint}" for complaint in browser.open(page.as_uri()))
        first = browser.screenshot()
        if arguments.write_reference:
            REFERENCE.write_bytes(first)
            print(f"written: {REFERENCE} ({len(first)} bytes)")
            return
        if arguments.reference:
            same_picture(first, failures.append)
        if arguments.pictures:
            arguments.pictures.mkdir(parents=True, exist_ok=True)
            for scheme in ("light", "dark"):
                for width, height in ((WIDTH, HEIGHT), (375, 812)):
                    browser.window(width, height, scheme)
                    time.sleep(0.2)
                    tall = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip={
                        "x": 0, "y": 0, "width": width, "height": 5 * height, "scale": 1})
                    (arguments.pictures / f"{scheme}-{width}.png").write_bytes(base64.b64decode(tall["data"]))
            browser.window(WIDTH, HEIGHT)
        rows = browser.evaluate(f"{TABLE}?.tBodies[0].rows.length ?? 0")
        if rows:
            sorting(browser, failures.append)
            filtering(browser, failures.append)
        else:
            failures.append("no table of results")
        structure(browser, failures.append)
        links(browser, failures.append)
        files(browser, page, failures.append)
        narrow(browser, failures.append)
        dark(browser, failures.append)
        printing(browser, failures.append)
        failures.extend(f"in use: {complaint}" for complaint in browser.complaints())
        contrast(browser, failures.append)
        theme_kept(browser, page.as_uri(), failures.append)
        stops(browser, page.as_uri(), failures.append)
        unfolded(browser, failures.append)
        asks_for(browser, page.as_uri(), failures.append)
        if rows:
            many_rows(browser, page, failures.append)
        without_scripts(browser, page.as_uri(), rows, failures.append)
    finally:
        browser.close()
    for failure in failures:
        print(f"{page.name}: {failure}")
    if failures:
        sys.exit(1)
    print(f"{page.parent.name}/{page.name}: sound in the browser, {rows} rows")


if __name__ == "__main__":
    main()
