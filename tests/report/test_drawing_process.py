"""Pictures are drawn in a process of their own: its death is a line, and the answer stands."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.waiting import PATIENCE

import calando
from calando.errors import NotDrawn
from calando.report import pictures
from calando.report.drawing_process import DrawingProcess, drawing_process

CHART = {
    "data": {"values": [{"a": 1, "b": 2}, {"a": 2, "b": 3}]},
    "mark": "line",
    "encoding": {"x": {"field": "a", "type": "quantitative"}, "y": {"field": "b", "type": "quantitative"}},
}
GIGABYTE = 2**30


@pytest.fixture
def own():
    made = DrawingProcess(longest_seconds=PATIENCE)
    yield made
    made.close()


def test_it_draws_as_vl_convert_does_in_this_process(own):
    import vl_convert

    drawn = own.ask(ask="svg", chart=CHART, major="6")
    version = next(v for v in reversed(vl_convert.get_vegalite_versions()) if v.startswith("6"))
    assert drawn.decode() == vl_convert.vegalite_to_svg(CHART, vl_version=version)
    assert own.ask(ask="png", svg=drawn.decode(), scale=2) == vl_convert.svg_to_png(drawn.decode(), scale=2)


def test_a_chart_that_is_none_is_refused_in_a_line_and_the_next_is_drawn(own):
    with pytest.raises(NotDrawn, match="cannot draw this"):
        own.ask(ask="svg", chart={"mark": 5, "data": []}, major="6")
    assert own.ask(ask="svg", chart=CHART, major="6").startswith(b"<svg")


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGABRT])
def test_its_death_is_a_line_and_the_next_question_starts_another(own, sign):
    own.ask(ask="svg", chart=CHART, major="6")
    own._process.send_signal(sign)
    own._process.wait()
    with pytest.raises(NotDrawn, match=rf"ended with {sign.name} .*ulimit"):
        own.ask(ask="svg", chart=CHART, major="6")
    assert own.ask(ask="svg", chart=CHART, major="6").startswith(b"<svg")


def test_one_that_hangs_is_given_up(own):
    own.ask(ask="svg", chart=CHART, major="6")
    own._longest_seconds = 0.2
    own._process.send_signal(signal.SIGSTOP)
    with pytest.raises(NotDrawn, match=r"over 0\.2 s"):
        own.ask(ask="svg", chart=CHART, major="6")


def test_many_threads_ask_one_and_each_gets_its_own_answer(own):
    charts = [{**CHART, "title": f"chart number {index}"} for index in range(8)]
    found: dict[int, str] = {}

    def draw(index: int) -> None:
        found[index] = own.ask(ask="svg", chart=charts[index], major="6").decode()

    threads = [threading.Thread(target=draw, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(f"chart number {index}" in found[index] for index in range(8))


def test_this_process_loads_no_v8():
    pictures.svg(CHART)
    words = [sys.executable, "-c", "import sys; from calando.report import pictures; pictures.svg({'mark': 'point', "]
    words[-1] += "'data': {'values': []}}); assert 'vl_convert' not in sys.modules"
    subprocess.run(words, check=True, env=os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])})
    assert drawing_process() is drawing_process()


def limited() -> None:
    """Enough for torch, too little for V8."""
    resource.setrlimit(resource.RLIMIT_AS, (6 * GIGABYTE, 6 * GIGABYTE))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere RLIMIT_AS limits nothing")
def test_under_a_limit_on_memory_every_verb_gives_its_answer_first(tmp_path):
    script = Path(sys.executable).with_name("calando")
    found = os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])}

    def command(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [script, *words],
            cwd=tmp_path,
            env=found,
            preexec_fn=limited,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    small = ["--steps", "4", "--json"]
    compared = command(
        "compare",
        "digits",
        "fixed",
        "cosine",
        "--lr",
        "0.1",
        "--seeds",
        "2",
        "--study",
        "made",
        "--executor",
        "inline",
        *small,
    )
    assert json.loads(compared.stdout)["complete"]
    assert "`calando report made` tries again" in compared.stderr
    trained = command("train", "digits", "fixed", "--lr", "0.1", *small)
    assert json.loads(trained.stdout)["figure"] is None
    plotted = command("plot", "cosine", "--output", "cosine.png")
    reported = command("report", "made")
    shown = command("show", "made", "--json")
    assert json.loads(shown.stdout)["complete"]
    assert [one.returncode for one in (compared, trained, plotted, reported, shown)] == [0, 0, 1, 1, 0]
    for one in (compared, trained, plotted, reported):
        assert "pictures cannot be drawn here" in one.stderr
        assert "Traceback" not in one.stderr
    assert not (tmp_path / "cosine.png").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere RLIMIT_AS limits nothing")
@pytest.mark.parametrize("mebibytes", [300, 400])
def test_too_little_memory_to_begin_is_a_line(tmp_path, mebibytes):
    """Less than torch's library takes. A little more, and C++ may abort in the midst of its import."""
    script = Path(sys.executable).with_name("calando")
    ended = subprocess.run(
        [script, "compare", "digits", "fixed", "--steps", "4", "--seeds", "1", "--lr", "0.1", "--executor", "inline"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(calando.__file__).parents[1])},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (mebibytes * 2**20, mebibytes * 2**20)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("calando: out of memory (")
    assert ended.stderr.count("\n") == 1
