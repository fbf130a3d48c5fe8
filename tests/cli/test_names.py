from __future__ import annotations

import pytest

from wattmesh_cli.names import Names, UnknownName

STREET = Names(["roof-0.default", "roof-11.default", "flat-0.north", "flat-0.south"])


def test_a_namespace_is_shown_only_where_it_tells_parties_apart() -> None:
    assert STREET.short("roof-0.default") == "roof-0"
    assert STREET.short("flat-0.north") == "flat-0.north"
    assert STREET.short("loft-0.gone") == "loft-0.gone"


def test_ids_in_a_text_are_shortened() -> None:
    assert STREET.shorten("seller roof-11.default; not x-roof-0.default") == "seller roof-11; not x-roof-0.default"
    assert STREET.shorten("is in two books: roof-0.default, flat-0.north") == "is in two books: roof-0, flat-0.north"


def test_users_may_write_either_name() -> None:
    assert STREET.resolve("roof-0") == STREET.resolve("roof-0.default") == "roof-0.default"
    assert STREET.resolve("flat-0.south") == "flat-0.south"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("loft-0", "loft-0: no such party; there is flat-0.north, flat-0.south, roof-0, roof-11"),
        ("flat-0", "flat-0: could be flat-0.north or flat-0.south; name one in full"),
    ],
)
def test_a_name_that_says_nothing_certain_is_refused(name: str, text: str) -> None:
    with pytest.raises(UnknownName) as error:
        STREET.resolve(name)
    assert str(error.value) == text
