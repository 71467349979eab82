"""What others try against the page: nothing runs, nobody gets in, and who is in only does what their token allows."""

import asyncio
import itertools
from urllib.parse import quote

import httpx
import pytest
from tests.web.test_web_app import HOME, STUDY, Client, fill

from calando.records.command_log import CommandLog
from calando.web.access import Tokens, guards
from calando.web.hosts import LOOPBACK, Hosts
from calando.web.http_server import MOST_CONNECTIONS
from calando.web.live_page import create_app
from calando.web.page_headers import POLICY
from calando.web.request_limits import COMMANDS, MOST_ADDRESS, MOST_BODY, MOST_STREAMS, READING, STRANGERS, Buckets

TOKENS = Tokens(look="a" * 32, steer="b" * 32)
LOOKS, STEERS = ({"Cookie": f"calando-8321-{kind}={token}"} for kind, token in TOKENS._asdict().items())
PATHS = (
    "/",
    "/report",
    "/api/places",
    "/api/status",
    "/api/runs",
    "/api/rows.csv",
    "/static/app.js",
    "/figures/cost.svg",
)


@pytest.fixture
def folder(tmp_path):
    fill(tmp_path, until=3)
    return tmp_path


@pytest.fixture
def page(folder):
    return Client(create_app(folder, tokens=TOKENS))


@pytest.fixture
def no_time(monkeypatch):
    """However long requests take, none comes back meanwhile."""
    monkeypatch.setitem(Buckets.__init__.__kwdefaults__, "clock", lambda: 0.0)


def commanded(folder):
    with CommandLog.open(folder) as log:
        return [one.line for one in log.rows()]


# Rebinding


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8321", "127.0.0.1.evil.example", "localhost.evil.example:8321", "127.0.0.2"),
        *(
            "10.0.0.1:8321",
            "[::2]:8321",
            "127.0.0.1:8321@evil.example",
            "evil.example/127.0.0.1",
            "127.0.0.1:",
            "",
            " ",
        ),
    ],
)
def test_another_name_for_this_machine_gets_nothing(page, folder, host):
    for path in PATHS:
        assert page.get(path, {**STEERS, "Host": host}).status_code == 400
    answer = page.post("/commands/stop", {**STEERS, "Host": host, "Origin": f"http://{host}"})
    assert answer.status_code == 400
    assert commanded(folder) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9000", "[::1]:8321", "LOCALHOST"])
def test_names_of_this_machine_are_answered_at_any_port(page, host):
    """`ssh -L 9000:127.0.0.1:8321` has another port at its near end."""
    assert page.get("/api/places", {"Authorization": f"Bearer {TOKENS.look}", "Host": host}).status_code == 200


# Commands from elsewhere


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1:8321"},
        {"Origin": "http://127.0.0.1:8321.evil.example"},
        {"Origin": "http://localhost:8321"},
        {"Origin": HOME, "Sec-Fetch-Site": "cross-site"},
        {"Origin": HOME, "Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_page_commands_nothing_even_with_the_cookie(page, folder, headers):
    for path in ("/commands/stop", "/api/steer", "/"):
        assert page.post(path, {**STEERS, **headers}).status_code == 403
    assert commanded(folder) == []


def test_a_command_is_no_link(page, folder):
    assert page.get("/commands/stop", STEERS).status_code == 405
    assert page.get(f"/commands/stop?token={TOKENS.steer}").status_code == 405
    assert commanded(folder) == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_pages_scripts_read_nothing(page, site):
    asked = {**LOOKS, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
    for path in PATHS:
        assert page.get(path, asked).status_code == 403
    # A link from there leads here, as any link does.
    assert page.get("/", {**asked, "Sec-Fetch-Mode": "navigate"}).status_code == 200


# Tokens


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/commands/stop", "/api/steer", "/api/runs", "/", "/nothing/there"])
def test_the_token_that_looks_commands_nothing(page, folder, method, path):
    for given in (LOOKS, {"Authorization": f"Bearer {TOKENS.look}"}):
        answer = page.ask(method, path, {"Origin": HOME, "Sec-Fetch-Site": "same-origin", **given})
        assert answer.status_code == 403
        assert "only looks" in answer.text
    assert page.ask(method, f"{path}?token={TOKENS.look}", {"Origin": HOME}).status_code == 403
    assert commanded(folder) == []


@pytest.mark.parametrize(
    "cookie",
    [
        f"calando-8321-steer={TOKENS.look}; calando-8321-look={TOKENS.look}",
        f"calando-8321-steer={TOKENS.steer[:-1]}",
        f"calando-8321-steer={TOKENS.steer}b",
        f"calando-9999-steer={TOKENS.steer}; calando-8321-look={TOKENS.look}",
        f"calando-8321={TOKENS.steer}; calando-8321-look={TOKENS.look}",
        "calando-8321-steer=; calando-8321-look=",
    ],
)
def test_a_stolen_token_that_looks_is_not_turned_into_one_that_steers(page, folder, cookie):
    assert page.post("/commands/stop", {"Origin": HOME, "Cookie": cookie}).status_code == 403
    assert commanded(folder) == []


@pytest.mark.parametrize("kind", Tokens._fields)
def test_a_token_of_the_address_becomes_a_cookie_that_no_script_and_no_other_site_has(page, kind):
    answer = page.get(f"/?token={getattr(TOKENS, kind)}")
    assert (answer.status_code, answer.headers["location"], answer.headers["cache-control"]) == (303, "./", "no-store")
    given = {one.split("=")[0]: one for one in answer.headers.get_list("set-cookie")}
    other = "look" if kind == "steer" else "steer"
    assert all(part in given[f"calando-8321-{kind}"] for part in ("HttpOnly", "SameSite=strict", "Path=/"))
    # Who opens the address that looks steers no more.
    assert "Max-Age=0" in given[f"calando-8321-{other}"]
    assert TOKENS.look not in answer.text
    assert TOKENS.steer not in answer.text


def test_cookies_go_by_https_alone_where_the_page_does(folder):
    hosts = Hosts(LOOPBACK.names, encrypted=True)
    answer = Client(create_app(folder, tokens=TOKENS, hosts=hosts)).get(f"/?token={TOKENS.steer}")
    assert all("Secure" in one for one in answer.headers.get_list("set-cookie"))


def test_the_page_says_what_its_token_allows(page):
    assert page.get("/api/status", LOOKS).json()["can_steer"] is False
    assert page.get("/api/status", STEERS).json()["can_steer"] is True


def test_guesses_are_slowed_down_and_hold_up_nobody_else(no_time, page):
    answers = [page.get(f"/?token={guess:032x}").status_code for guess in range(int(STRANGERS.burst) + 20)]
    assert answers.count(429) == 20
    assert set(answers) == {403, 429}
    assert page.get("/api/places", LOOKS).status_code == 200


# Paths

ESCAPES = (
    "../first", "..", "/etc/passwd", "%2e%2e", "..%2f..%2fetc%2fpasswd", "....//", "..\\..", "a\x00b", "study.sqlite",
    "./.", "~", "file:///etc/passwd", "//evil.example/", "x" * 3000,
)  # fmt: skip


@pytest.mark.parametrize("name", ESCAPES)
def test_no_name_leads_out_of_the_folder(page, folder, name):
    (folder.parent / "first").mkdir(exist_ok=True)
    quoted = httpx.QueryParams({"place": name, "run": name})
    for path in ("/report", "/figures/cost.svg", "/api/status", "/api/summary", "/api/runs", "/api/run", "/api/changes",
                 "/api/stream", "/api/rows.csv"):  # fmt: skip
        answer = page.get(f"{path}?{quoted}", LOOKS)
        assert answer.status_code == 404, path
        assert "root:" not in answer.text
    assert page.post(f"/commands/stop?{quoted}", {**STEERS, "Origin": HOME}).status_code == 404
    if name != "..":  # the client makes "/" of "/static/.."
        assert page.get(f"/static/{quote(name, safe='')}", LOOKS).status_code == 404
    assert page.get(f"/api/run?{httpx.QueryParams({'run': name})}", LOOKS).status_code == 404
    assert page.get(f"/api/curves?{httpx.QueryParams({'of': name, 'run': name})}", LOOKS).status_code in (404, 422)


@pytest.mark.parametrize(
    "path",
    ["/static/../live_page.py", "/static/%2e%2e/live_page.py", "/static//etc/passwd", "/static/app.js/..", "/../etc"],
)
def test_no_path_leads_to_other_files(page, path):
    answer = page.get(path, LOOKS)
    assert answer.status_code == 404 or answer.request.url.path == "/static/app.js"


# Size, and how often


def echo(read):
    """An application that reads the whole body."""

    async def app(scope, receive, send):
        more = True
        while more:
            message = await receive()
            read.append(len(message.get("body", b"")))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"read"})

    for guard in reversed(guards(LOOPBACK, None)):
        app = guard.cls(app, *guard.args, **guard.kwargs)
    return app


def post(app, content, headers=()):
    async def answer():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=HOME) as client:
            return await client.post("/", content=content, headers={"Origin": HOME, **dict(headers)})

    return asyncio.run(answer())


def test_a_body_that_says_it_is_too_large_is_not_read():
    read = []
    assert post(echo(read), b"x" * MOST_BODY).status_code == 200
    read.clear()
    assert post(echo(read), b"x" * (MOST_BODY + 1)).status_code == 413
    assert read == []


def test_a_body_that_does_not_say_how_large_it_is_is_read_up_to_the_bound():
    read = []

    async def endless():
        for _ in range(10_000):
            yield b"x" * 8192

    assert post(echo(read), endless()).status_code == 413
    assert sum(read) <= MOST_BODY


@pytest.mark.parametrize("length", ["-1", "1e9", "²", "9" * 40, "0x10", " "])
def test_a_length_that_is_none_is_refused(length):
    assert post(echo([]), b"", {"Content-Length": length.encode()}).status_code == 413


def test_an_address_that_is_too_long_is_refused(page):
    assert page.get(f"/api/runs?filter={'x' * MOST_ADDRESS}", LOOKS).status_code == 414


@pytest.mark.usefixtures("no_time")
def test_who_asks_too_often_waits_and_who_gives_commands_sooner():
    calls = echo([])

    def statuses(method, times):
        async def answer():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=calls), base_url=HOME) as client:
                asked = [await client.request(method, "/", headers={"Origin": HOME}) for _ in range(times)]
                return [(one.status_code, one.headers.get("retry-after")) for one in asked]

        return asyncio.run(answer())

    assert (429, "1") in statuses("POST", int(COMMANDS.burst) + 30)
    assert {status for status, _ in statuses("GET", 100)} == {200}  # the page itself is never held up
    assert 429 in {status for status, _ in statuses("GET", 3 * int(READING.burst))}


def test_streams_leave_room_for_other_requests():
    """A page holds one connection; whoever opens hundreds is refused, and others read on."""
    refused, held = [], []

    async def forever(scope, receive, send):
        if scope["path"] != "/api/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"read"})
            return
        held.append(scope)
        await asyncio.Event().wait()

    app = forever
    for guard in reversed(guards(LOOPBACK, None)):
        app = guard.cls(app, *guard.args, **guard.kwargs)

    async def try_all():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=HOME) as client:
            tasks = [asyncio.ensure_future(client.get("/api/stream")) for _ in range(MOST_STREAMS + 25)]
            while len(held) + sum(one.done() for one in tasks) < len(tasks):
                await asyncio.sleep(0.01)
            refused.extend(one.result().status_code for one in tasks if one.done())
            other = await client.get("/api/places")
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            held.clear()
            again = asyncio.ensure_future(client.get("/api/stream"))
            while not held and not again.done():
                await asyncio.sleep(0.01)
            again.cancel()
            return other.status_code, len(held)

    assert asyncio.run(try_all()) == (200, 1)
    assert refused == [429] * 25
    assert MOST_STREAMS < MOST_CONNECTIONS / 2


# Text that looks like markup


def test_names_go_out_as_json_that_no_browser_takes_for_a_page(page):
    hostile = STUDY.strategies[2].name
    assert "<script>" in hostile
    for path in ("/api/runs", "/api/summary", "/api/status", f"/api/runs?filter={hostile}", "/api/rows.csv"):
        answer = page.get(path, LOOKS)
        assert answer.headers["content-type"].partition(";")[0] in ("application/json", "text/csv")
        assert answer.headers["x-content-type-options"] == "nosniff"
    for path in (
        f"/static/{hostile}",
        f"/figures/{hostile}.svg",
        f"/api/run?run={hostile}",
        f"/api/status?place={hostile}",
    ):
        answer = page.get(path, LOOKS)
        assert answer.status_code == 404
        assert answer.headers["content-type"].partition(";")[0] in ("text/plain", "application/json")


def test_every_answer_has_the_policy(page):
    for path, given in itertools.product((*PATHS, "/nothing", f"/?token={TOKENS.look}"), (LOOKS, STEERS, {})):
        answer = page.get(path, given)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe-eval" not in policy
        assert "frame-ancestors 'none'" in policy
        assert policy == POLICY or (path == "/report" and answer.status_code == 200)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
