"""What a lesson says follows from its records: nothing is known beforehand."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.make_lessons import CHANCE, as_usual, looks, make_lesson, record_of

from calando.analysis.lesson import NONE_TRAINED, claims_of, gradients_of
from calando.analysis.lesson_runs import course_of, read_runs, trains_at
from calando.records.lesson import LESSONS, find_lesson
from calando.records.probe import LayerRow, ProbeRow

LESSON = find_lesson("diverge-and-crawl")
STEPS = LESSON.steps


def claims(course, **options):
    return {claim.name: claim for claim in claims_of(make_lesson(course, **options))}


def read(course, network=LESSON.network):
    return read_runs(make_lesson(course))[network]


def falling(to: float, *, score: float = 0.9, steps: int = STEPS):
    return np.linspace(2.3, to, steps), score


def test_what_is_usual_is_found_where_it_happened():
    found = claims(as_usual)
    assert {name for name, claim in found.items() if claim.shown} == {
        "small", "large", "steps", "exponential", "adam 0.001", "norm", "depth",
    }  # fmt: skip
    # Made up so that shortcuts change no rate, and batch norm only moves the limit: that is written.
    assert "do not show that the window is wider" in found["window"].text
    assert "These runs do not show it" in found["shortcuts"].text


def test_runs_that_are_all_alike_show_nothing():
    found = claims(lambda *_: falling(0.5))
    assert not any(claim.shown for name, claim in found.items() if name != "depth")
    for name in ("small", "norm", "shortcuts", "window"):
        assert "do not show" in found[name].text
    assert "No rate up to 10 diverged" in found["large"].text
    for name in ("steps", "exponential", "adam 0.001"):
        assert "about the same" in found[name].text


def test_everything_that_diverges_is_read():
    found = claims(lambda *_: (np.array([np.nan]), CHANCE))
    assert {name for name, claim in found.items() if claim.shown} == {"large", "depth"}
    assert found["large"].text == "At rate 0.0001 the loss was not finite after 1 update."
    assert found["small"].text == found["adam 0.001"].text == NONE_TRAINED
    assert "at none of the rates" in found["norm"].text


@pytest.mark.parametrize("made", [1, 2, 7, 150])
def test_a_run_that_diverged_says_after_how_many_updates_and_how_far_it_rose(made):
    def course(network, name, rate, seed):
        if rate != 1:
            return falling(0.5)
        return np.append(2.0 * 10.0 ** np.minimum(np.arange(made - 1), 30), np.nan), CHANCE

    one = read(course)["fixed 1"]
    assert one.ending == "diverged"
    assert one.happened == f"diverged after {made} update{'s' * (made != 1)}"
    if made == 7:
        assert one.why == "loss 2 → 2e+05; each of the last 5 updates raised it"


def test_crawling_is_measured_against_the_best_rate():
    """A fifth of the way at a fifth of the speed: five times slower."""

    def course(network, name, rate, seed):
        return falling(2.3 - 2 * (0.2 if rate < 0.01 else 1.0), score=0.5 if rate < 0.01 else 0.95)

    one = read(course)["fixed 0.001"]
    assert one.ending == "crawled"
    # The mean of ten losses is five updates late.
    assert one.slower == pytest.approx(5, rel=0.15)
    assert one.happened == f"crawled: {one.slower:.2g} times slower than 0.01"


def test_the_best_rate_has_the_highest_score_and_of_equal_ones_the_lowest_loss():
    def course(network, name, rate, seed):
        return falling({0.1: 0.2, 0.001: 0.1}.get(rate, 0.5), score=0.8 if name == "adam 0.001" or rate > 1 else 0.9)

    those = read(course)
    assert [name for name, one in those.items() if one.ending == "best"] == ["fixed 0.001"]


def test_each_seed_is_looked_at():
    def course(network, name, rate, seed):
        return as_usual(network, name, rate, seed) if seed else falling(0.5)

    found = claims(course, seeds=3)
    assert (found["large"].shown, found["large"].seeds) == (2, 3)
    assert found["large"].text.endswith("Shown in 2 of 3 seeds.")


def test_a_network_trains_where_it_reaches_nine_tenths_of_the_highest_score():
    def course(network, name, rate, seed):
        return falling(0.5, score={0.001: 0.899, 0.01: 0.901, 0.1: 1.0}.get(rate, 0.5))

    stored = make_lesson(course)
    assert trains_at(read_runs(stored), LESSON, "resnet14") == (0.01, 0.1)


losses = st.lists(
    st.one_of(st.floats(2**-20, 2**100, width=32), st.just(math.inf), st.just(math.nan)), min_size=1, max_size=30
)


@given(losses, st.floats(0, 1), st.sampled_from(list(LESSON.strategies(LESSON.network))))
@settings(max_examples=60, deadline=None)
def test_any_run_can_be_read(values, score, which):
    """One run of any course among usual ones: words without nan, and one verdict."""
    those = np.array(values) if not math.isfinite(values[-1]) else np.resize(np.nan_to_num(values, posinf=3.0), STEPS)

    def course(network, name, rate, seed):
        return (those, score) if name == which else as_usual(network, name, rate, seed)

    stored = make_lesson(course)
    one = read_runs(stored)[LESSON.network][which]
    assert (one.ending == "diverged") == (not np.isfinite(those[-1]))
    texts = [one.happened, one.why, *(claim.text for claim in claims_of(stored))]
    assert not any(re.search(r"\bnan\b|\binf\b|None", text) for text in texts), texts


@given(losses)
@settings(deadline=None)
def test_a_course_is_the_mean_of_ten(values):
    course = course_of(record_of("plain14", "sgd(lr=0.1)", np.array([*values, np.nan]), CHANCE, steps=STEPS))
    given_losses = np.array([*values, np.nan], np.float32).astype(float)
    for at, calm in enumerate(course.calm):
        window = given_losses[max(0, at - 9) : at + 1]
        known = window[np.isfinite(window)]
        assert calm == pytest.approx(known.mean(), rel=1e-6) if len(known) else math.isnan(calm)
    for loss in (1e-3, 1.0, 1e9):
        at = course.reached(loss)
        assert at is None or course.calm[at - 1] <= loss
        assert not (course.calm[: len(course.calm) if at is None else at - 1] <= loss).any()


def test_gradients_that_were_not_seen_or_are_not_finite_are_left_out():
    rows = [*looks("plain14"), ProbeRow(step=9, rate=0.1, layers=(LayerRow(name="a", gradient=math.nan),))]
    assert [look.step for look in gradients_of(rows)] == [1, 50]
    assert gradients_of(rows)[0].share == pytest.approx(0.7**13)
    assert gradients_of([ProbeRow(step=1, rate=0.1)]) == ()


def test_every_lesson_can_be_asked_for():
    for name, lesson in LESSONS.items():
        assert lesson.name == name
        assert lesson.probed in lesson.rates
        assert len(lesson.networks) == 4
