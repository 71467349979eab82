"""What a release needs next to its wheel: one version, a dated changelog, former names, CI that publishes safely."""

import importlib
import re
import tomllib
from datetime import date

import pytest
from tests.end_to_end.test_package import ROOT, tool

import calando
from calando.records.migrate import SCHEMA_VERSION

WORKFLOWS = ("tests", "release")
OURS = "./.github/workflows/tests.yml"
PINNED = re.compile(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
"""By the commit, since whoever steals a repository moves its tags; next to it, the version for people."""


def read_yaml(name):
    """A file of YAML; its key `on` is read as True, by YAML 1.1."""
    yaml = pytest.importorskip("yaml")
    if not (ROOT / name).is_file():
        pytest.skip("an sdist has no hidden folders")
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_version_stands_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/calando/__init__.py"
    assert tool("release_checks").version_of(ROOT) == calando.__version__
    assert not re.search(
        r"^(version|date-released):", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE
    )


def test_a_changelog_is_ready_with_a_date_and_something_below_it():
    dating = tool("release_checks").dating
    ready = "## [Unreleased]\n\n## [1.2.0] - 2026-12-01\n\n### Added\n\n- A thing.\n\n## [1.1.0] - 2026-11-01\n"
    assert dating(ready, "1.2.0") == []
    assert "lists nothing" in dating(ready, "1.1.0")[0]
    assert dating(ready, "1.3.0") == [
        "CHANGELOG.md: 0 sections of version 1.3.0; write '## [1.3.0] - YYYY-MM-DD' below [Unreleased]"
    ]
    for wrong in ("", " - soon", " 2026-12-01", " - 2026-12-01 (yanked?)", " - 2026-13-40", " - 2026-02-30"):
        assert dating(ready.replace(" - 2026-12-01", wrong), "1.2.0"), wrong
    assert "Unreleased" in dating(ready.replace("## [Unreleased]\n", ""), "1.2.0")[0]
    assert "2 sections" in dating(ready.replace("1.1.0", "1.2.0"), "1.2.0")[0]


def test_the_changelogs_dates_are_in_order():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    dates = [re.fullmatch(r"\[\d+\.\d+\.\d+\] - (\d{4}-\d\d-\d\d)", one) for one in headings[1:]]
    assert all(dates), headings
    known = [date.fromisoformat(one[1]) for one in dates]
    assert known == sorted(known, reverse=True)


def test_what_others_made_needs_a_licence_file(tmp_path):
    checks = tool("release_checks")
    assert checks.unlicensed(ROOT) == []
    package = tmp_path / checks.PACKAGE
    package.mkdir(parents=True)
    (package / "ours.js").write_text("let a = 1;\n")
    (package / "packed.js").write_text("a" * 5000)
    (package / "data.npz").write_bytes(b"")
    assert [one.partition(":")[0] for one in checks.unlicensed(tmp_path)] == [
        "src/calando/data.npz",
        "src/calando/packed.js",
    ]


def there(name):
    """Whether a dotted name is a module, or what a module offers."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, last = name.rpartition(".")
        return bool(module) and there(module) and hasattr(importlib.import_module(module), last)
    return True


def test_former_names_are_gone_and_those_that_take_their_place_are_there():
    page = (ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| (`.+`) \|$", page, re.MULTILINE)
    assert len(rows) > 10
    assert [old for old, _ in rows if there(old)] == ["calando.integrations"]
    assert [one for _, new in rows for one in re.findall(r"`([\w.]+)`", new) if not there(one)] == []
    assert f"study.sqlite.v{SCHEMA_VERSION - 1}" in page


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_name_commits_ask_for_little_and_hold_no_secret(name):
    workflow = read_yaml(f".github/workflows/{name}.yml")
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        steps = job.get("steps", [])
        assert "uses" in job or job["timeout-minutes"] <= 60
        # What somebody names a branch or a tag is no part of a script.
        assert not [step["run"] for step in steps if "${{" in step.get("run", "")]
        assert set(job.get("permissions", {})) <= {"id-token"}
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
    used = [one.strip().removeprefix("- ") for one in text.splitlines() if "uses:" in one]
    assert used
    assert [one for one in used if one != f"uses: {OURS}" and not PINNED.fullmatch(one)] == []
    assert "secrets." not in text
    assert not re.search(r"^ *password:", text, re.MULTILINE)


def test_only_a_tag_publishes_and_only_after_the_tests():
    release, tests = (read_yaml(f".github/workflows/{name}.yml") for name in ("release", "tests"))
    assert release[True] == {"push": {"tags": ["v*"]}}
    publish = release["jobs"]["publish"]
    assert set(publish["needs"]) == {"tests", "dist"}
    assert publish["permissions"] == {"id-token": "write"}
    assert [name for name, job in release["jobs"].items() if "permissions" in job] == ["publish"]
    systems = {
        one for job in tests["jobs"].values() for one in job.get("strategy", {}).get("matrix", {}).get("system", [])
    }
    assert {one.partition("-")[0] for one in systems} == {"macos", "windows"}
    assert any("make test" in step.get("run", "") for step in tests["jobs"]["linux"]["steps"])


def test_forms_for_issues_ask_for_something():
    for name in ("fault", "wish"):
        form = read_yaml(f".github/ISSUE_TEMPLATE/{name}.yml")
        assert {"name", "description", "body"} <= set(form)
        assert any(part.get("validations", {}).get("required") for part in form["body"])
