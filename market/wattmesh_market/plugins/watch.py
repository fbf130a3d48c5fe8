"""Plug-ins at work: what they raise, what they answer and how long they take is no danger to the books.

Whoever asks a plug-in asks through a `Watch`: it has an answer that was checked, or none, and then the household holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from operator import index
from pathlib import PurePath
from types import TracebackType
from typing import NamedTuple, SupportsIndex, TypeVar

from wattmesh_market.energy.slots import local
from wattmesh_market.plugins import Kind, Plugin

T = TypeVar("T")

SLOW_S = 1.0
"""How long a plug-in may take for all that a party asks it for a slot: other parties of the process wait meanwhile."""
MOST_SLOW = 3
"""After so many slow answers, one after the other, a plug-in is set aside where trade does not wait for it."""
_MOST_CHARACTERS = 300


class Nonsense(Exception):
    """An answer that cannot be: of another type, beyond what there is, or beyond a limit. The message says what."""


def whole(value: object, what: str, least: int, most: int) -> int:
    """A whole number within its limits."""
    if type(value) is int:  # as nearly all are: to look for a protocol's methods takes 40 times as long
        number = value
    elif isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise Nonsense(f"{what} must be a whole number, not {value!r:.50}")
    else:
        number = index(value)
    if not least <= number <= most:
        raise Nonsense(f"{what} must be from {least} to {most}, not {number}")
    return number


class Fault(StrEnum):
    """What a plug-in did."""

    RAISED = "raised"
    NONSENSE = "answered nonsense"
    SLOW = "is slow"
    SET_ASIDE = "is set aside"


_SO = {Kind.MECHANISM: ", so nobody was matched", Kind.DEVICE: ", so it needs what is configured"}
"""What comes of it where a plug-in has no answer that counts, if not that the household holds."""


class Trouble(NamedTuple):
    """What a plug-in did `times` times, and how it was the first time: for which party, slot, and `what` in words.

    `kind` is the plug-in's.
    """

    plugin: str
    kind: Kind
    fault: Fault
    party: str
    slot: int
    what: str
    times: int = 1

    @property
    def held(self) -> bool:
        """Whether its household went on without an answer of it; a slow one counts."""
        return self.fault is not Fault.SLOW

    def text(self, utc_offset_s: int) -> str:
        """In words, with local time."""
        often = f"; {self.times} times in all, this was the first" if self.times > 1 else ""
        held = _SO.get(self.kind, ", so the household held") if self.held else ""
        when = f"{local(self.slot, utc_offset_s):%Y-%m-%d %H:%M}"
        return f"{self.plugin} {self.fault}: {self.what} (for {self.party}, slot {when}{held}{often})"


def merged(troubles: Iterable[Trouble]) -> tuple[Trouble, ...]:
    """One of each plug-in and fault, the first in time, with how often there was any."""
    found: dict[tuple[str, Fault], Trouble] = {}
    for one in sorted(troubles, key=lambda one: (one.slot, one.party)):
        known = found.get((one.plugin, one.fault))
        found[one.plugin, one.fault] = one if known is None else known._replace(times=known.times + one.times)
    return tuple(found.values())


class Watch:
    """Asks the plug-ins of a process.

    `stopwatch` says how late it is, in seconds; without it nobody looks how long answers take. After `most_slow` slow
    ones (None: never, as a study's books do not follow from the machine) a plug-in is not asked any more. `tell` hears
    of each plug-in's fault when it is the first of its kind.
    """

    def __init__(
        self,
        stopwatch: Callable[[], float] | None = None,
        most_slow: int | None = None,
        tell: Callable[[Trouble], None] | None = None,
    ) -> None:
        self._stopwatch = stopwatch
        self._most_slow = most_slow
        self._tell = tell
        self._troubles: dict[tuple[str, Fault], Trouble] = {}
        self._spent: dict[str, tuple[str, int, float]] = {}
        self._slow: dict[str, int] = {}
        self._aside: set[str] = set()

    def ask(
        self, plugin: Plugin, party: str, slot: int, answer: Callable[[], T], now_slot: int | None = None
    ) -> T | None:
        """What a plug-in answers for a party and slot; None where it has no answer that counts.

        `answer` asks it and raises Nonsense where what it says cannot be. The time of all that a party asks about
        `slot`, or in `now_slot` where that is told, counts together.
        """
        if str(plugin) in self._aside:
            self._note(plugin, Fault.SET_ASIDE, party, slot, "it took too long before")
            return None
        begun = self._stopwatch() if self._stopwatch else 0.0
        try:
            return answer()
        except KeyboardInterrupt:
            raise
        except Nonsense as error:
            self._note(plugin, Fault.NONSENSE, party, slot, _short(error))
        except BaseException as error:  # noqa: BLE001 - what a plug-in raises, SystemExit and CancelledError too, is its own
            self._note(plugin, Fault.RAISED, party, slot, f"{_short(error)}{_where(error.__traceback__)}")
        finally:
            if self._stopwatch:
                self._took(plugin, party, slot if now_slot is None else now_slot, self._stopwatch() - begun)
        return None

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What there was so far, or since it was last taken."""
        return tuple(self._troubles.values())

    def take(self) -> tuple[Trouble, ...]:
        """The same, and begin anew."""
        found = self.troubles
        self._troubles.clear()
        return found

    def _took(self, plugin: Plugin, party: str, slot: int, seconds: float) -> None:
        """Count the time of all answers for a party and slot."""
        name = str(plugin)
        of_party, of_slot, spent_s = self._spent.get(name, (party, slot, 0.0))
        if (of_party, of_slot) != (party, slot):
            if spent_s <= SLOW_S:
                self._slow.pop(name, None)
            spent_s = 0.0
        self._spent[name] = (party, slot, spent_s + seconds)
        if spent_s <= SLOW_S < spent_s + seconds:
            slow = self._slow[name] = self._slow.get(name, 0) + 1
            took = f"it took {spent_s + seconds:.1f} s for a household's slot, and may take {SLOW_S:g} s"
            self._note(plugin, Fault.SLOW, party, slot, took)
            if self._most_slow is not None and slow >= self._most_slow:
                self._aside.add(name)

    def _note(self, plugin: Plugin, fault: Fault, party: str, slot: int, what: str) -> None:
        name = str(plugin)
        known = self._troubles.get((name, fault))
        if known is not None:
            self._troubles[name, fault] = known._replace(times=known.times + 1)
            return
        trouble = self._troubles[name, fault] = Trouble(name, plugin.kind, fault, party, slot, what)
        if self._tell is not None:
            self._tell(trouble)


def _short(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - its __str__ is the plug-in's, too
        text = "(its text raises as well)"
    text = text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"
    return text if isinstance(error, Nonsense) else f"{type(error).__name__}: {text}".removesuffix(": ")


def _where(traceback: TracebackType | None) -> str:
    """The line that raised."""
    last = ""
    for frame, line in _frames(traceback):
        last = f", {PurePath(frame).name}:{line}"
    return last


def _frames(traceback: TracebackType | None) -> Iterator[tuple[str, int]]:
    while traceback is not None:
        yield traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
