"""What pydantic found wrong, as one line for the sender."""

from __future__ import annotations

from pydantic import ValidationError


def first_problem(error: ValidationError) -> tuple[str, str]:
    """The dotted path of the first wrong field, and a text naming it, what is wrong and how many more are."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    path = ".".join(str(part) for part in problems[0]["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return path, f"{path}: {problems[0]['msg'].removeprefix('Value error, ')}{more}"
