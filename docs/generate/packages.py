"""The Python packages: what the docstrings of their public modules say.

Read from the source, not by Sphinx's autodoc: the docstrings are Markdown, and a page takes a second instead of ten.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]


def page(package: str) -> str:
    """A section for each public module of a package, in the order of their names."""
    [folder] = (found for found in (ROOT / package, *ROOT.glob(f"*/{package}")) if (found / "__init__.py").is_file())
    files = {
        ".".join(file.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for file in folder.rglob("*.py")
        if not re.fullmatch(r"_[^_].*|__main__", file.stem)
    }
    return "\n".join(_module(name, files[name]) for name in sorted(files))


def _module(name: str, file: Path) -> str:
    tree = ast.parse(file.read_text())
    _, _, within = name.partition(".")
    return "\n\n".join([f"## {within}" if within else "", _docstring(tree), *_parts(tree, 3)]) + "\n"


def _parts(of: ast.Module | ast.ClassDef, level: int) -> Iterator[str]:
    """What is public in a module or class: fields, an entry for each value and function, a heading for each class."""
    if isinstance(of, ast.ClassDef) and (fields := list(_fields(of))):
        yield f"Fields: {', '.join(fields)}."
    for node, after in pairwise([*of.body, None]):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if _public(node.name) and ast.get_docstring(node):
                yield _entry(_signature(node), _docstring(node))
            case ast.ClassDef() if _public(node.name):
                bases = ", ".join(ast.unparse(base) for base in node.bases)
                heading = f"{'#' * level} {node.name}" + (f"({bases})" if bases else "")
                yield "\n\n".join([heading, _docstring(node), *_parts(node, level + 1)])
            case ast.AnnAssign(target=ast.Name(id=name)) if _public(name) and _text(after):
                yield _entry(f"{name}: {ast.unparse(node.annotation)}", _text(after))
            case ast.Assign(targets=[ast.Name(id=name)]) if _public(name) and _text(after):
                yield _entry(f"{name} = {ast.unparse(node.value)}"[:200], _text(after))


def _fields(of: ast.ClassDef) -> Iterator[str]:
    """The fields that the class's own docstring is about."""
    for node, after in pairwise([*of.body, None]):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)) if _public(name) and not _text(after):
                yield f"`{name}: {ast.unparse(node.annotation)}`"


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    if any(isinstance(one, ast.Name) and one.id == "property" for one in node.decorator_list):
        return f"{node.name}: {ast.unparse(node.returns)}" if node.returns else node.name
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    start = "async " * isinstance(node, ast.AsyncFunctionDef)
    return f"{start}{node.name}({ast.unparse(node.args)}){returns}"


def _entry(written: str, text: str) -> str:
    indented = "\n".join(f"  {line}".rstrip() for line in text.split("\n"))
    return f"`{written}`\n: {indented.lstrip()}"


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return _markdown(ast.get_docstring(node) or "")


def _text(node: ast.stmt | None) -> str:
    """A docstring that follows a value."""
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return _markdown(text)
    return ""


def _markdown(text: str) -> str:
    """A docstring with what Markdown would take for HTML, math, a link or a target made plain."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else part.replace("<", "\\<").replace("*", "\\*").replace("](", "]\\(")
        for part in parts
    )


def _public(name: str) -> bool:
    return not name.startswith("_")
