"""Install a wheel in an empty environment and use it there, outside the checkout and without a network.

    python tools/try_wheel.py dist/calando-0.1.0-py3-none-any.whl

`make dist` runs it, and CI on Linux, macOS and Windows. Needs the standard library alone; pip gets what the wheel
needs, to the versions in constraints.txt. After that, whatever tries to reach another machine fails.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urljoin

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 1800
"""For one command; a machine under load takes several times as long as an idle one."""
OFFLINE = """
import ipaddress, socket

def local(host):
    if host in (None, "", b"", "localhost", socket.gethostname()):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False

def refuse(function, host_of):
    def call(*args, **options):
        host = host_of(args)
        if not local(host):
            raise OSError(f"try_wheel.py: no network, and {host!r} was asked for")
        return function(*args, **options)
    return call

def address(args):
    return args[1][0] if isinstance(args[1], tuple) else None

socket.getaddrinfo = refuse(socket.getaddrinfo, lambda args: args[0])
socket.socket.connect = refuse(socket.socket.connect, address)
socket.socket.connect_ex = refuse(socket.socket.connect_ex, address)
"""
TEN_LINES = """
import calando, torch

x = torch.randn(64, 8)
network = torch.nn.Linear(8, 2)
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
scheduler = calando.LRScheduler(optimizer, "linear(0.01, 1, over=10) >> cosine(1, 0)", total_steps=100)
rates = scheduler.get_last_lr()
for step in range(100):
    optimizer.zero_grad()
    network(x).square().mean().backward()
    optimizer.step()
    scheduler.step()
    rates += scheduler.get_last_lr()
print([rates[step] for step in (0, 10, 55, 100)])
"""
WHERE = """
import importlib.metadata, json, calando
print(json.dumps([calando.__file__, calando.__version__, importlib.metadata.version("calando")]))
"""


def main() -> None:
    """Raise at the first thing that does not work."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--constraints", type=Path, default=ROOT / "constraints.txt", help="versions of what it needs")
    asked = parser.parse_args()
    if not asked.wheel.is_file():
        parser.error(f"{asked.wheel} is no file; `make dist` builds one")
    with tempfile.TemporaryDirectory(prefix="calando-wheel-", ignore_cleanup_errors=True) as folder:
        Trial(Path(folder), asked.wheel.resolve(), asked.constraints.resolve()).run()


class Trial:
    """A wheel at work in a folder of its own."""

    def __init__(self, folder: Path, wheel: Path, constraints: Path) -> None:
        self.environment, self.work, self.wheel = folder / "environment", folder / "work", wheel
        scripts, ending = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
        self.python, self.calando = (self.environment / scripts / f"{name}{ending}" for name in ("python", "calando"))
        self.constraints = constraints
        site = folder / "site"
        for made in (self.work, site):
            made.mkdir()
        (site / "sitecustomize.py").write_text(OFFLINE, encoding="utf-8")
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CALANDO", "VIRTUAL"))
        }
        self.installing = kept | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
        own = {name: str(folder / name) for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
        self.using = kept | own | {"PYTHONPATH": str(site), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}

    def run(self) -> None:
        """Everything, in the order in which a person would."""
        venv.create(self.environment, symlinks=os.name != "nt", with_pip=True)
        self.install("torch")  # first, so that nothing pulls another build of it
        self.install(str(self.wheel))
        self.try_names()
        self.try_scheduler()
        self.try_demo()
        self.install(f"{self.wheel}[web]")
        self.try_page()

    def install(self, what: str) -> None:
        print(f"== pip install {what}", flush=True)
        pip = [str(self.python), "-m", "pip"]
        command = [*pip, "install", "--quiet", "-c", str(self.constraints), what]
        subprocess.run(command, env=self.installing, check=True, timeout=SECONDS)
        if what != "torch":
            subprocess.run([*pip, "check"], env=self.installing, check=True, timeout=SECONDS)

    def output(self, *command: str | Path) -> str:
        print(f"== {' '.join(str(word).partition(chr(10))[0] for word in command)}", flush=True)
        begun = time.monotonic()
        ended = subprocess.run(
            [str(word) for word in command],
            cwd=self.work,
            env=self.using,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )
        print(f"   status {ended.returncode}, {time.monotonic() - begun:.1f} s", flush=True)
        require(ended.returncode == 0, f"it ended with status {ended.returncode}:\n{ended.stdout}\n{ended.stderr}")
        return ended.stdout

    def try_names(self) -> None:
        version = self.wheel.name.split("-")[1]
        require(self.output(self.calando, "--version").strip() == f"calando {version}", "--version says another one")
        require(
            self.output(self.python, "-m", "calando", "--version").strip() == f"calando {version}", "-m says another"
        )
        file, own, installed = json.loads(self.output(self.python, "-c", WHERE))
        require(Path(file).resolve().is_relative_to(self.environment.resolve()), f"imported from {file}")
        require(
            own == installed == version, f"__version__ is {own}, of the package {installed}, of the wheel {version}"
        )

    def try_scheduler(self) -> None:
        """A loop of ten lines follows the schedule: up to the base rate, and down to 0."""
        rates = json.loads(self.output(self.python, "-c", TEN_LINES))
        expected = [0.1 * share for share in (0.01, 1, 0.5, 0)]
        near = all(abs(one - other) < 1e-12 for one, other in zip(rates, expected, strict=True))
        require(near, f"the rates of updates 0, 10, 55 and 100 are {rates}, not {expected}")

    def try_demo(self) -> None:
        said = self.output(self.calando, "demo", "diverge-and-crawl")
        page = self.work / "calando-demos" / "diverge-and-crawl" / "report.html"
        require("report.html" in said, f"the demo does not say where its page is:\n{said}")
        require("vegaEmbed" in page.read_text(encoding="utf-8"), f"{page} draws nothing")

    def try_page(self) -> None:
        """`calando serve` answers with its page, and with each file that the page names."""
        with self.served() as address:
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
            )
            with opener.open(address, timeout=60) as answer:
                page = answer.read().decode()
                policy = answer.headers.get("Content-Security-Policy", "")
            named = [one for one in re.findall(r'(?:src|href)="([^"#]+)"', page) if not one.startswith("data:")]
            require(bool(named), f"the page names no script and no style:\n{page}")
            require(not re.search(r"https?://", page + policy), "the page needs another machine")
            for one in named:
                with opener.open(urljoin(address, one), timeout=60) as answer:
                    require(bool(answer.read()), f"{one} is empty")
        print(f"   the page and {len(named)} files that it names", flush=True)

    @contextmanager
    def served(self) -> Iterator[str]:
        """The address that looks, of a server on the demo's studies; it is ended afterwards."""
        command = [str(self.calando), "serve", "calando-demos", "--port", "0"]
        print(f"== {' '.join(command)}", flush=True)
        server = subprocess.Popen(
            command, cwd=self.work, env=self.using, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        late = threading.Timer(300, server.kill)
        late.start()
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            found = re.match(r"(http://127\.0\.0\.1:\d+/\S*)", line)
            require(found is not None, f"no address within 300 s, but {line!r}")
            assert found is not None
            yield found[1]
        finally:
            late.cancel()
            server.terminate()
            server.communicate(timeout=60)


def require(right: bool, otherwise: str) -> None:
    """`assert`, also under `python -O`."""
    if not right:
        sys.exit(f"try_wheel.py: {otherwise}")


if __name__ == "__main__":
    main()
