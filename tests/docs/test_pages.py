"""A reader follows each page of the documentation, from top to bottom: `make docs-test`.

The README and the tutorial are followed from the built wheel, in tests/wheel.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from docs.generate.sources import DOCS, ROOT
from tests.docs.elsewhere import reason
from tests.docs.pages import PAGES, README, blocks, commands
from tests.docs.reader import RUN, Reader, clean_environment

pytestmark = pytest.mark.docs

FROM_THE_WHEEL = (README, DOCS / "tutorial.md")
BY_HAND = (DOCS / "install.md",)
"""What it runs is what tests/wheel does first."""


SAID = {
    "outside-partner.md": {
        "python register.py neighbours": r"^{'status': 'UNDER_SUBSCRIPTION'}$",
        "python register.py neighbours-v2": r"^{'status': 'UNDER_SUBSCRIPTION'}$",
        "python search.py": r"^utility\.default offers 15\.000 kWh at 0\.250000 EUR per kWh$",
        "python buy.py": r"^order \S+ of \S+\.default: ACTIVE, 0\.125000 EUR after delivery$",
        "python buy_v2.py": r"^contract \S+: ACTIVE, 0\.\d+ EUR after delivery$",
    },
    "measured-data.md": {"wattmesh validate measured.yaml": r"^3 resources, no mistakes$"},
    "own-strategy.md": {"python generous.py": r"^__main__:generous~\w{8} +\d"},
}
"""What the reader is to see: page → command → a line of what it says."""


def is_followed(page: Path) -> bool:
    """Whether there is something on it to run or to save."""
    if page in (*FROM_THE_WHEEL, *BY_HAND):
        return False
    return any(command.words[0] in RUN and not reason(command) for command in commands(page))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if is_followed(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_a_page_can_be_followed(page: Path, tmp_path: Path) -> None:
    environment = clean_environment()
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    with Reader(tmp_path / "reader", environment, lambda command: reason(command) is not None) as reader:
        reader.follow(page)
    assert reader.said
    for words, line in SAID.get(page.name, {}).items():
        [said] = [text for command, text in reader.said if command.words == words.split()]
        assert re.search(line, said, re.M), said
    for block in blocks(page):
        if block.file is not None:
            used = [command for command in commands(page) if block.file in command.words]
            imported = [
                other for other in blocks(page, "python") if f"from {Path(block.file).stem} import" in other.text
            ]
            assert used or imported, f"{block.where}: {block.file} is saved and not used"
