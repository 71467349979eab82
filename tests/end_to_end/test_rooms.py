"""Files import each other in no circle, but for what operators on schedules need."""

import grimp

OPERATORS = "calando.schedules."
LATE = {
    ("calando.tasks.catalog", "calando.tasks.load_task"),  # MODULE:CALLABLE stands for what only its own code says
    ("calando.tasks.catalog", "calando.tasks.workload"),  # a person's object is known by a class that needs torch
    ("calando.report.pictures", "calando.report.html"),  # a figure with the suffix .html is a page
}
"""Imports within a function that go upwards, with the reason for each."""


def circles(imports: dict[str, set[str]]) -> list[set[str]]:
    """Groups of files that reach each other (Tarjan's strongly connected components of two files and more)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in imports[name]:
            if other not in index:
                visit(other)
            if other in stack:
                low[name] = min(low[name], low[other])
        if low[name] == index[name]:
            group = set()
            while name not in group:
                group.add(stack.pop())
            if len(group) > 1:
                found.append(group)

    for name in imports:
        if name not in index:
            visit(name)
    return found


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]


def test_files_form_no_circle_but_those_of_operators_on_schedules():
    """Imports within functions count as well; those for type checkers do not, nor do those of a room's `__init__`."""
    graph = grimp.build_graph("calando", exclude_type_checking_imports=True, cache_dir=None)
    rooms = {name for name in graph.modules if graph.find_children(name)}
    imports = {
        name: {other for other in graph.find_modules_directly_imported_by(name) - rooms if (name, other) not in LATE}
        for name in graph.modules - rooms
    }
    wrong = [group for group in circles(imports) if not all(name.startswith(OPERATORS) for name in group)]
    assert not wrong
