"""The live page attacked in a real browser: names that look like markup, other origins and hosts, a stolen address."""

import dataclasses
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tests.end_to_end.live_page_kit import EVIL, serving, store, visiting
from tests.end_to_end.test_report_in_browser import CHROMIUM, HOSTILE
from tests.report.fabricate import make_study
from tests.waiting import PATIENCE, until

from calando.records.command_log import CommandLog
from calando.records.record import Event

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it, or name one in $CALANDO_CHROMIUM"),
]


def test_names_that_look_like_markup_stay_names(browser, tmp_path):
    study = make_study(HOSTILE, seeds=2, steps=60)
    bad = HOSTILE[0]
    digests = store(
        tmp_path, study, change=lambda one: dataclasses.replace(one, events=(Event(3, "note", bad),), host={bad: bad})
    )
    (tmp_path / "checkpoints" / digests[0]).mkdir(parents=True)
    (tmp_path / "checkpoints" / digests[0] / "<img src=x onerror=alert(1)>").write_text("x")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / f"{digests[0]}.log").write_text(f"{bad}\n")
    with serving(tmp_path) as address, visiting(browser, address) as page:
        assert bad in page.inner_text("table.results")
        page.goto(f"{address}#/p/./run/{digests[0]}")
        page.wait_for_selector("main .facts")
        said = page.inner_text("main")
        assert said.count(bad) >= 3
        page.locator("summary", has_text="Where it was made").click()
        for view in ("javascript:alert(1)", f"#/p/{bad}", f"#/p/./run/{bad}", f"#/compare/{bad}/{bad}", "#/p/%zz"):
            page.evaluate("view => { location.hash = view; }", view)
            page.wait_for_selector("html[data-ready=yes]")
        assert page.locator("img, script:not([src])").count() == 0
        page.complaints[:] = [one for one in page.complaints if "404 (Not Found)" not in one]


class Elsewhere(BaseHTTPRequestHandler):
    """A page of another origin on this machine, whose script tries what it can."""

    target = ""

    def do_GET(self):
        page = f"""<!doctype html><title>waiting</title><form method=post action="{self.target}commands/stop"></form>
        <script>(async () => {{
          const tries = [["commands/stop", "POST"], ["api/steer", "POST"], ["api/status", "GET"], ["report", "GET"]];
          const got = [];
          for (const [path, method] of tries) for (const mode of ["cors", "no-cors"]) {{
            const asked = fetch("{self.target}" + path, {{ method, mode, credentials: "include" }});
            got.push(await asked.then((answer) => answer.text()).then((text) => text.length, () => 0));
          }}
          document.title = "read " + got.reduce((a, b) => a + b, 0);
        }})();</script>"""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_):
        pass


def test_nobody_else_gets_in(browser, tmp_path):
    from calando.web.access import Tokens

    tokens = Tokens.random()
    store(tmp_path, make_study(("fixed", "cosine"), seeds=2, steps=60), until=3)
    with serving(tmp_path, tokens) as address:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        assert page.goto(address).status == 403
        assert page.goto(f"{address}?token={'0' * 32}").status == 403
        assert page.goto(address.replace("127.0.0.1", EVIL) + f"?token={tokens.steer}").status == 400

        # With the address that looks, there is no button, and asking without one is refused.
        page.goto(f"{address}?token={tokens.look}")
        page.wait_for_selector("html[data-ready=yes]")
        assert page.locator("#stop").count() == 0
        assert "looks only" in page.inner_text("nav")
        assert page.evaluate("document.cookie") == ""
        asked = "async () => (await fetch('commands/stop', {method: 'POST'})).status"
        assert page.evaluate(asked) == 403

        # With the cookie that steers, a page of another port of this machine commands nothing and reads nothing.
        page.goto(f"{address}?token={tokens.steer}")
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", page.url)
        Elsewhere.target = address
        with HTTPServer(("127.0.0.1", 0), Elsewhere) as other:
            thread = threading.Thread(target=other.serve_forever)
            thread.start()
            page.goto(f"http://127.0.0.1:{other.server_port}/")
            until(lambda: page.title() == "read 0")
            with page.expect_navigation():
                page.evaluate("document.forms[0].submit()")
            assert "commands are taken from this page only" in page.inner_text("body")
            page.goto(f"http://127.0.0.1:{other.server_port}/")
            other.shutdown()
            thread.join()
        with CommandLog.open(tmp_path) as log:
            assert log.rows() == []
        context.close()
