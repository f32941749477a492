"""The rules of the house that neither ruff nor the import contracts can state, as functions of a source."""

import ast
import re
from collections.abc import Iterator

# Each of these says what a thing does to its caller's code, and nothing about its subject.
_EMPTY_WORDS = frozenset({"handler", "manager", "processor", "helper", "helpers", "util", "utils"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_WALL_CLOCKS = frozenset({"now", "utcnow", "today"})
_SLEEPS = frozenset({"time.sleep", "asyncio.sleep"})


def reactor_imports(source: str) -> list[int]:
    """The lines that import the global reactor, or call what finds it by itself."""
    return [
        line
        for line, name in _imported_names(source)
        if name.startswith("twisted.internet.reactor") or name == "twisted.internet.threads.deferToThread"
    ]


def ambient_time_or_chance(source: str) -> list[int]:
    """The lines that reach for a clock or for randomness, where both are to be handed in.

    The type `Random` may be named, since it is what is handed in; it may not be made.
    """
    lines = {
        line
        for line, name in _imported_names(source)
        if name.split(".")[0] in {"time", "secrets", "uuid"}
        or (name.split(".")[0] == "random" and name != "random.Random")
        or name in {"os.urandom", "os.getrandom"}
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            is_wall_clock = re.search(r"\b(datetime|date)\.(\w+)$", called)
            if called in {"Random", "os.urandom", "os.getrandom"} or (
                is_wall_clock and is_wall_clock[2] in _WALL_CLOCKS
            ):
                lines.add(node.lineno)
    return sorted(lines)


def sleeps(source: str) -> list[int]:
    """The lines that sleep, by whatever name."""
    imported = {name.split(".")[-1] for _, name in _imported_names(source) if name in _SLEEPS}
    return sorted(
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _SLEEPS | imported
    )


def empty_names(source: str) -> list[str]:
    """The classes, functions and parameters that are named for no subject, such as manager."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.arg):
            names.append(node.arg)
    return [name for name in names if is_empty_name(name)]


def is_empty_name(name: str) -> bool:
    """Whether a word of the name, in snake_case or CamelCase, is one that says nothing."""
    return any(word.lower() in _EMPTY_WORDS for word in _WORD.findall(name))


def cited_rules(source: str) -> list[str]:
    """The rules of SPEC.md that a text cites, such as 3.12."""
    citations: list[str] = re.findall(r"SPEC\.md ((?:\d+\.\d+(?:, | and | to )?)+)", source)
    return [rule for citation in citations for rule in re.findall(r"\d+\.\d+", citation)]


def _imported_names(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported, anywhere in the source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"
