"""The live page served and visited in a real browser: what its tests share."""

import contextlib
import threading

import pytest
from tests.report.fabricate import fabricate
from tests.waiting import PATIENCE, until

from calando.records.store import Store

EVIL = "evil.example"


@contextlib.contextmanager
def serving(folder, tokens=None):
    """The page of a folder; its address."""
    uvicorn = pytest.importorskip("uvicorn")
    from calando.web.live_page import create_app

    app = create_app(folder, tokens=tokens)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=0)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def visiting(browser, address, *, width=1280, dark=False, without=(), cookies=(), locale=None):
    """A page opened; its `complaints` must be none in the end."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme="dark" if dark else "light", locale=locale
    )
    context.add_cookies(cookies)
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    page.complaints, page.asked = [], []
    page.on("console", lambda said: page.complaints.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: page.complaints.append(error.stack))
    page.on("dialog", lambda dialog: page.complaints.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: page.asked.append(request.url))
    for one in without:
        page.route(one, lambda route: route.abort())
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")
    yield page
    if not without:
        assert page.complaints == []
    assert all(one.startswith((address.partition("?")[0].partition("#")[0], "data:")) for one in page.asked)
    context.close()


def store(folder, study, *, until=None, change=lambda record: record):
    runs, tests = fabricate(study, until=until)
    with Store.create(folder, study, fingerprint="x") as file:
        for record in runs.values():
            file.put_run(change(record))
        for digest, test in tests.items():
            file.put_test(digest, test)
    return list(runs)


def column(page, place):
    return page.eval_on_selector_all(
        "table.runs tbody tr", f"all => all.map(one => one.cells[{place}].textContent.trim())"
    )


def chart(page, of):
    """How many curves a chart has, and its first and last step; nothing of one that is not drawn yet."""
    data = page.locator(".chart", has=page.locator(f"h3:text-matches('^{of}')")).evaluate("one => ({...one.dataset})")
    return tuple(int(data.get(name, 0)) for name in ("curves", "from", "to"))
