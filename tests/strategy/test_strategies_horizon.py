"""A strategy's own length, in text and in files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calando.errors import ScheduleTextError, UsageError
from calando.records import StrategySpec
from calando.strategy import parse_strategy, read_strategy

LENGTHS = st.one_of(
    st.integers(1, 10**6),
    st.integers(1, 500).map("{} epochs".format),
    st.floats(0.01, 100).map("{!r}%".format),
)
PARTS = ["cosine(1, 0)", "rollback(tries=2)", "ema(decay=0.99)"]


@given(LENGTHS, st.integers(0, 3), st.lists(st.sampled_from(PARTS), unique=True))
def test_a_horizon_stands_anywhere_in_the_pipe_and_reads_back_equal(length, place, parts):
    written = [*parts]
    written.insert(place, f"horizon({length!r})")
    strategy = parse_strategy(" | ".join(["mine = sgd(lr=0.1)", *written]))
    assert parse_strategy(strategy.text, name="mine") == strategy
    assert strategy.text.endswith(f" | horizon({strategy.horizon!r})")
    assert strategy.without_horizon() == parse_strategy(" | ".join(["mine = sgd(lr=0.1)", *parts]))
    assert StrategySpec.model_validate_json(strategy.model_dump_json()) == strategy


def test_texts_without_a_name_are_told_apart_by_their_lengths():
    text = "sgd | linear(0, 1, over='5%') >> constant(1) >> linear(1, 0, over='20%')"
    names = [parse_strategy(f"{text} | horizon({length!r})").name for length in ("4 epochs", "8 epochs")]
    assert [name.removesuffix(" epochs")[-2:] for name in names] == [" 4", " 8"]
    assert parse_strategy(f"mine = {text} | horizon('4 epochs')").name == "mine"


@pytest.mark.parametrize(
    ("written", "means"), [('"10.0 epochs"', "10 epochs"), ("500", "500 steps"), ('"50 %"', "50%")]
)
def test_a_toml_file_says_the_same(tmp_path, written, means):
    path = tmp_path / "mine.toml"
    path.write_text(f'method = "sgd"\nlr = 0.1\nhorizon = {written}\n')
    assert read_strategy(str(path)) == parse_strategy(f"mine = sgd(lr=0.1) | horizon({means!r})")
    path.write_text(f"""strategy = "sgd(lr=0.1) | horizon('{means}')"\n""")
    assert read_strategy(str(path)).horizon == means


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("1.5", "horizon must be a length, as in"),
        ('"soon"', "horizon must be a length such as"),
        ("true", "horizon must be a length such as"),
        ('"120%"', "at most 100%"),
        ("0", "above 0"),
    ],
)
def test_a_toml_file_with_a_wrong_horizon_is_named(tmp_path, written, says):
    path = tmp_path / "mine.toml"
    path.write_text(f'method = "sgd"\nhorizon = {written}\n')
    with pytest.raises(UsageError, match=f"strategy file .*{says}") as caught:
        read_strategy(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "segment", ["horizon", "horizon()", "horizon(0)", "horizon(1.5)", "horizon([1])", "horizon('')"]
)
def test_a_wrong_horizon_is_pointed_at(segment):
    text = f"sgd(lr=0.1) | {segment} | cosine(1, 0)"
    with pytest.raises(ScheduleTextError, match="horizon") as caught:
        parse_strategy(text)
    assert caught.value.position == text.index("horizon")
