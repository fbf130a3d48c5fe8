from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.ids import derive_uuid

salts = st.from_regex(r"[ -~]{0,20}", fullmatch=True)
parts = st.lists(st.from_regex(r"[!-~]{0,20}", fullmatch=True), min_size=1, max_size=4)


def test_a_derived_id_is_the_same_on_every_machine_and_in_every_release() -> None:
    assert derive_uuid("rooftop-0", "select", 7) == "c6d131f5-f871-84b6-b145-73b342f62d68"


@given(salts, parts)
def test_the_same_step_run_twice_gives_the_same_id_and_it_is_a_uuid(salt: str, step: list[str]) -> None:
    derived = derive_uuid(salt, *step)
    assert derived == derive_uuid(salt, *step)
    assert str(uuid.UUID(derived)) == derived
    assert uuid.UUID(derived).version == 8


@given(salts, salts, parts)
def test_two_databases_never_share_an_id(salt: str, other: str, step: list[str]) -> None:
    assert (derive_uuid(salt, *step) == derive_uuid(other, *step)) == (salt == other)


@given(parts, parts)
def test_two_steps_never_share_an_id(step: list[str], other: list[str]) -> None:
    assert (derive_uuid("salt", *step) == derive_uuid("salt", *other)) == (step == other)


def test_parts_are_kept_apart() -> None:
    assert len({derive_uuid("s", "ab", "c"), derive_uuid("s", "a", "bc"), derive_uuid("s", "abc")}) == 3
