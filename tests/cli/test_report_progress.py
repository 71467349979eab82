"""`calando report` draws for seconds: it shows how far it is."""

import shutil

import calando as package
from calando.verbs import progress
from calando.verbs.study import write_page_of


def test_how_many_figures_are_drawn_is_shown(finished_study, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    shutil.copytree(finished_study, tmp_path / "s")
    package.write_report(tmp_path / "s")
    err = capsys.readouterr().err
    assert "drawing figures: 1 of " in err
    assert "ETA " in err
    write_page_of(tmp_path / "s")
    assert "drawing" not in capsys.readouterr().err
