"""Commands of the documentation that no test runs as they stand: they are parsed, and run elsewhere in another form."""

from __future__ import annotations

from collections.abc import Mapping

from tests.docs.pages import Command

REASONS: Mapping[tuple[str, ...], str] = {
    ("audit", "--kubernetes"): "needs a cluster: tests/e2e/test_audited.py",
    ("backup", "--kubernetes"): "needs a cluster: tests/e2e/test_restored.py",
    ("forget", "rooftop-0", "--kubernetes"): "needs a cluster: tests/e2e/test_left.py",
    ("restore", "--kubernetes"): "needs a cluster: tests/e2e/test_restored.py",
    ("--scheduler",): "needs a Dask cluster: tests/street/test_simulation.py has one on this machine",
    ("examples/town.yaml",): "profiles of a thousand households: tests/cli/field has a few",
    ("town/manifests.yaml",): "a thousand households: make bench PARTS=days",
    ("-m", "bench.optimum"): "measures for minutes: make bench PARTS=optimum",
}
"""Words that stand side by side in such a command, and where it is run instead."""


def reason(command: Command) -> tuple[str, ...] | None:
    """The words for which a command is not run; None when it is."""
    text = f" {' '.join(command.words)} "
    return next((words for words in REASONS if f" {' '.join(words)} " in text), None)
