"""Build what is published into dist/, and refuse it where it is not right: what `make dist` does.

    python tools/make_dist.py              a rehearsal: warns where a release would be refused
    python tools/make_dist.py --release    refuses an undated CHANGELOG, changes that no commit has, another tag

1. Version, CHANGELOG and state of the checkout.
2. sdist, and a wheel from it; the wheel again from the checkout, which must come to the same bytes.
3. `twine check --strict`; contents and licences (tools/release_checks.py).
4. The wheel installed in an empty environment and used there (tools/try_wheel.py).

Nothing is published. Needs git, and the packages of tools/dist-requirements.txt, which `make dist` installs.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import release_checks as checks

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"


def main() -> None:
    """Status 1 and the faults, a line each, where something is not right."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--release", action="store_true", help="refuse what a rehearsal only warns of")
    tag = os.environ.get("RELEASE_TAG", "")  # not through make and its shell, which would run what a tag's name says
    parser.add_argument(
        "--tag", default=tag, help="the tag that is published ($RELEASE_TAG); must be v and the version"
    )
    parser.add_argument("--no-trial", action="store_true", help="leave out the empty environment, which takes minutes")
    asked = parser.parse_args()
    unready = not_ready(asked.tag)
    if asked.release:
        refuse(unready)
    warn(unready)
    version = checks.version_of(ROOT)
    archive, wheel = build(DIST)
    refuse(checks.check_sdist(archive, ROOT) + checks.check_wheel(wheel, ROOT) + not_repeatable(wheel))
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", str(archive), str(wheel)], check=True)
    if not asked.no_trial:
        subprocess.run([sys.executable, str(ROOT / "tools" / "try_wheel.py"), str(wheel)], check=True)
    warn(unready)
    print(f"calando {version}: {archive.relative_to(ROOT)}, {wheel.relative_to(ROOT)}; nothing was published")


def not_ready(tag: str) -> list[str]:
    """What stands between this checkout and a release."""
    version = checks.version_of(ROOT)
    faults = checks.dating((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    changed = git("status", "--porcelain").splitlines()
    if changed:
        faults.append(f"{len(changed)} files differ from the last commit, {changed[0][3:]} the first; commit them")
    if tag and tag != f"v{version}":
        faults.append(
            f"the tag is {tag}, and __version__ in src/calando/__init__.py {version}: the tag must be v{version}"
        )
    return faults


def build(folder: Path, *only: str) -> list[Path]:
    """The files built, an sdist before a wheel; their times are the last commit's, so that a second build is equal."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), *only, str(ROOT)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": git("log", "-1", "--format=%ct").strip()}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return [*folder.glob("*.tar.gz"), *folder.glob("*.whl")]


def not_repeatable(wheel: Path) -> list[str]:
    """A wheel that is built straight from the checkout has the bytes of the one that was built from the sdist."""
    with tempfile.TemporaryDirectory() as folder:
        (again,) = build(Path(folder) / "again", "--wheel")
        same = again.name == wheel.name and again.read_bytes() == wheel.read_bytes()
    return [] if same else [f"{wheel.name}: a second build gave other bytes"]


def git(*words: str) -> str:
    """What git says of this checkout."""
    try:
        return subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        sys.exit(f"make dist: needs a checkout of git, to know what is published ({said.strip().splitlines()[0]})")


def warn(faults: list[str]) -> None:
    """A line each; the build goes on."""
    for one in faults:
        print(f"make dist: not yet a release: {one}", file=sys.stderr)


def refuse(faults: list[str]) -> None:
    """End here if there are any."""
    if faults:
        sys.exit("\n".join(f"make dist: {one}" for one in faults))


if __name__ == "__main__":
    main()
