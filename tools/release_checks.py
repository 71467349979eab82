"""What a wheel and an sdist must hold before anybody installs them; each check returns its faults, a line each.

    version      stands in src/calando/__init__.py alone; file names, metadata and CHANGELOG.md follow it
    contents     the wheel holds the checkout's package and nothing else; the sdist what pyproject.toml lists
    licences     every file that is not ours has a licence file that names it, and metadata list each licence file

`make dist` runs all of them, `tests/end_to_end/test_package.py` those of contents and licences. Standard library alone.
"""

import email
import re
import subprocess
import tarfile
import tomllib
import zipfile
from datetime import date
from email.message import Message
from pathlib import Path

PACKAGE = "src/calando"
LICENCES = {  # who else's work is shipped, below src/calando: the file that says whose, and under which licence
    "report/templates/vega.js.gz": "report/templates/vega.LICENSE.txt",
    "tasks/data/digits.npy.gz": "tasks/data/digits.LICENSE.txt",
    "web/static/uplot.css": "web/static/uplot.LICENSE.txt",
    "web/static/uplot.js": "web/static/uplot.LICENSE.txt",
}
OURS = {".css", ".html", ".j2", ".js", ".mo", ".po", ".py", ".typed"}
"""Kinds of files that we write; another kind in the package is data or somebody's program and needs a licence file."""
LONGEST_LINE = 400
"""Of what people write, in characters; a script with a longer line was packed by a machine."""
LARGEST = {".whl": 2_000_000, ".gz": 12_000_000}
"""Bytes of what is published; more is data that slipped in."""


def version_of(root: Path) -> str:
    """`__version__` of the package, read and not imported."""
    text = (root / PACKAGE / "__init__.py").read_text(encoding="utf-8")
    (found,) = re.findall(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    return str(found)


def dating(changelog: str, version: str) -> list[str]:
    """What the changelog lacks to be published as this version: `## [VERSION] - YYYY-MM-DD`, with something below."""
    headings = re.findall(r"^## \[(.+?)\](.*)$", changelog, re.MULTILINE)
    faults = []
    if "Unreleased" not in [name for name, _ in headings]:
        faults.append("CHANGELOG.md: no section [Unreleased], where the next changes go")
    dates = [rest for name, rest in headings if name == version]
    if len(dates) != 1:
        line = f"## [{version}] - YYYY-MM-DD"
        return [*faults, f"CHANGELOG.md: {len(dates)} sections of version {version}; write '{line}' below [Unreleased]"]
    if not re.fullmatch(r" - \d{4}-\d\d-\d\d", dates[0]) or not _is_a_day(dates[0].removeprefix(" - ")):
        faults.append(f"CHANGELOG.md: version {version} needs ' - YYYY-MM-DD' behind it, got {dates[0]!r}")
    section = changelog.partition(f"## [{version}]")[2].partition("\n")[2].partition("\n## ")[0]
    if not re.search(r"^- ", section, re.MULTILINE):
        faults.append(f"CHANGELOG.md: the section of version {version} lists nothing")
    return faults


def tracked(root: Path, *folders: str) -> set[str]:
    """The checkout's files in these folders (or of these names) that git keeps or would add.

    In an unpacked sdist, where there is no git, all of them but what Python compiled.
    """
    if (root / ".git").exists():
        return _listed(root, "--cached", "--others", "--exclude-standard", "--", *folders)
    found = [
        path for name in folders for path in ((root / name).rglob("*") if (root / name).is_dir() else [root / name])
    ]
    return {path.relative_to(root).as_posix() for path in found if path.is_file() and path.suffix != ".pyc"}


def check_wheel(wheel: Path, root: Path) -> list[str]:
    """Contents, metadata and licences of a wheel against the checkout that it was made from."""
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        info = f"calando-{version_of(root)}.dist-info"
        faults = [] if f"{info}/METADATA" in names else [f"{wheel.name}: no {info}/METADATA; is it of this version?"]
        package = {name.removeprefix("src/") for name in tracked(root, PACKAGE)}
        faults += _differ(wheel.name, {name for name in names if not name.startswith(f"{info}/")}, package)
        if faults:
            return faults
        metadata = email.message_from_bytes(file.read(f"{info}/METADATA"))
        faults += _check_licences(wheel.name, metadata, {n.removeprefix(f"{info}/licenses/") for n in names}, root)
    return faults + _check_metadata(wheel, metadata, root) + _too_large(wheel)


def check_sdist(archive: Path, root: Path) -> list[str]:
    """An sdist holds what pyproject.toml lists: enough to build the wheel, and to run every test, from it."""
    listed = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    included = listed["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]
    top = f"calando-{version_of(root)}/"
    with tarfile.open(archive) as file:
        members = [one for one in file.getmembers() if not one.isdir()]
    odd = [one.name for one in members if not one.isfile() or not one.name.startswith(top) or ".." in one.name]
    if odd:
        return [f"{archive.name}: {odd[0]} is no plain file of {top}"]
    added = {"PKG-INFO", ".gitignore", "pyproject.toml", "README.md", "LICENSE"}  # by hatchling, whatever is listed
    expected = tracked(root, *included) | added
    tops = {name.partition("/")[0] for name in (_listed(root) if (root / ".git").exists() else ())}
    left = sorted(one for one in tops - added - set(included) if not one.startswith("."))
    if left:
        return [f"pyproject.toml: {one} is in the checkout, and not in only-include of the sdist" for one in left]
    return _differ(archive.name, {one.name.removeprefix(top) for one in members}, expected) + _too_large(archive)


def unlicensed(root: Path) -> list[str]:
    """Files of the package that are not ours, by their kind or their lines, and that LICENCES lacks."""
    faults = []
    for name in sorted(tracked(root, PACKAGE)):
        path, known = root / name, name.removeprefix(f"{PACKAGE}/")
        if known in LICENCES or known in LICENCES.values():
            continue
        packed = path.suffix not in OURS
        if not packed and path.suffix in {".css", ".js"}:
            lines = path.read_text(encoding="utf-8").splitlines()
            packed = max(map(len, lines), default=0) > LONGEST_LINE
        if packed:
            faults.append(
                f"{name}: whose is it, and under which licence? Add its licence file to LICENCES and license-files"
            )
    return faults


def _check_licences(wheel: str, metadata: Message, held: set[str], root: Path) -> list[str]:
    needed = {"LICENSE", *(f"{PACKAGE}/{name}" for name in LICENCES.values())}
    said = set(metadata.get_all("License-File", []))
    faults = unlicensed(root)
    faults += [f"{wheel}: {name} is not among its License-File lines" for name in sorted(needed - said)]
    faults += [f"{wheel}: {name} is not in its folder of licences" for name in sorted(needed - held)]
    for shipped, licence in LICENCES.items():
        text = (root / PACKAGE / licence).read_text(encoding="utf-8")
        if Path(shipped).name not in text.partition("\n")[0]:
            faults.append(f"{PACKAGE}/{licence}: its first line does not name {Path(shipped).name}")
    return faults


def _check_metadata(wheel: Path, metadata: Message, root: Path) -> list[str]:
    version = version_of(root)
    faults = []
    if (metadata["Name"], metadata["Version"]) != ("calando", version):
        faults.append(
            f"{wheel.name}: metadata are of {metadata['Name']} {metadata['Version']}, the checkout is {version}"
        )
    dated = re.search(r"^(version|date-released):", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    if dated:
        faults.append(f"CITATION.cff: {dated[1]} stands in one place, src/calando/__init__.py or CHANGELOG.md")
    return faults


def _listed(root: Path, *words: str) -> set[str]:
    command = ["git", "-C", str(root), "ls-files", "-z", *words]
    listed = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True).stdout
    return {name for name in listed.split("\0") if name and (root / name).is_file()}


def _is_a_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _differ(where: str, held: set[str], expected: set[str]) -> list[str]:
    faults = [f"{where}: holds {name}, which is no part of it" for name in sorted(held - expected)[:6]]
    return faults + [f"{where}: lacks {name}" for name in sorted(expected - held)[:6]]


def _too_large(path: Path) -> list[str]:
    size, most = path.stat().st_size, LARGEST[path.suffix]
    return [] if size <= most else [f"{path.name}: {size:,} bytes, more than {most:,}: what slipped in?"]
