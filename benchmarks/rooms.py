"""What the source is made of: files, lines of code, docstring and comment in each room, and the imports' share.

    python benchmarks/rooms.py [SRC]

Code lines hold a token other than a comment or a docstring; imports are import statements and `__all__`.
"""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1] / "src" / "calando"


def lines_of(text: str) -> Counter[str]:
    """By kind: "code", "docstring", "comment", "import", "all"."""
    tree = ast.parse(text)
    docs: set[int] = set()
    imports: set[int] = set()
    for node in ast.walk(tree):
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docs.update(range(first, last + 1))
        named = isinstance(node, ast.Assign) and any(getattr(one, "id", "") == "__all__" for one in node.targets)
        if named or isinstance(node, ast.Import | ast.ImportFrom):
            imports.update(range(first, last + 1))
    code: set[int] = set()
    comments: set[int] = set()
    silent = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments.add(token.start[0])
        elif token.type not in silent:
            code.update(range(token.start[0], token.end[0] + 1))
    code -= docs
    return Counter(
        all=text.count("\n"),
        code=len(code),
        docstring=len(docs),
        comment=len(comments),
        **{"import": len(imports)},
    )


def main() -> None:
    root = Path(sys.argv[1]) / "calando" if len(sys.argv) > 1 else ROOT
    rooms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    sizes = []
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        found = lines_of(path.read_text(encoding="utf-8"))
        sizes.append(found["all"])
        room = inside.parts[0] if len(inside.parts) > 1 else "(top)"
        rooms[room] += found + Counter(files=1)
    kinds = ("files", "all", "code", "docstring", "comment", "import")
    print(f"{'room':12}" + "".join(f"{kind:>11}" for kind in kinds))
    for room, found in [*sorted(rooms.items()), ("together", sum(rooms.values(), Counter()))]:
        print(f"{room:12}" + "".join(f"{found[kind]:11,}" for kind in kinds))
    code = sum(found["code"] for found in rooms.values())
    imports = sum(found["import"] for found in rooms.values())
    print(
        f"imports and __all__: {imports / code:.0%} of the code; median file {statistics.median(sizes):g} lines, ",
        end="",
    )
    print(f"longest {max(sizes)}")


if __name__ == "__main__":
    main()
