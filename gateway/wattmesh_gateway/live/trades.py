"""One transaction as those who took part tell it: each message once, in order. Pure."""

from __future__ import annotations

from typing import Any

from wattmesh_common.pod_pages import Answer, LiveMessage, LiveStory

MOST_LINES = 300
"""Of one transaction; a search that many sellers hear has two for each."""


class Trade:
    """A transaction's messages and story."""

    def __init__(self, transaction_id: str, gateway_id: str) -> None:
        self.transaction_id = transaction_id
        self._gateway_id = gateway_id
        self._messages: dict[tuple[str, str, str, str], LiveMessage] = {}
        self._story: dict[tuple[str, int, str], LiveStory] = {}

    def __len__(self) -> int:
        return len(self._messages) + len(self._story)

    def add(self, happening: LiveMessage | LiveStory) -> bool:
        """Take a message or line; False when it was known. Sender and receiver both tell of a message."""
        if isinstance(happening, LiveStory):
            line = (happening.party, happening.at_ms, happening.text)
            if line in self._story or self._full:
                return False
            self._story[line] = happening
            return True
        key = (happening.message_id, happening.action, happening.sender, happening.recipient)
        known = self._messages.get(key)
        if known is None and self._full:
            return False
        merged = happening if known is None else _merged(known, happening)
        self._messages[key] = merged
        return merged != known

    @property
    def _full(self) -> bool:
        return len(self) >= MOST_LINES

    def log(self) -> list[dict[str, Any]]:
        """Messages and lines by time; of one moment, requests before their callbacks, and before the gateway's."""
        entries: list[LiveMessage | LiveStory] = [*self._messages.values(), *self._story.values()]
        entries.sort(key=lambda entry: (entry.at_ms, self._rank(entry)))
        return [entry.model_dump(exclude={"transaction_id"}) for entry in entries]

    def summary(self) -> dict[str, Any]:
        """Who buys (empty where nobody has said), to whom `confirm` was sent, since when, and the newest line of the
        story.

        `refused` counts NACKs, but not those of a search: by them a seller says that it has nothing to sell.
        """
        messages = sorted(self._messages.values(), key=lambda message: (message.at_ms, self._rank(message)))
        story = sorted(self._story.values(), key=lambda line: line.at_ms)
        times = [message.at_ms for message in messages] + [line.at_ms for line in story]
        return {
            "transaction_id": self.transaction_id,
            "buyer": self.buyer,
            "sellers": list(dict.fromkeys(m.recipient for m in messages if m.action == "confirm")),
            "started_ms": min(times),
            "last_ms": max(times),
            "last_action": messages[-1].action if messages else "",
            "messages": len(messages),
            "refused": sum(message.answer is Answer.NACK and message.action != "search" for message in messages),
            "story": story[-1].text if story else "",
        }

    def _rank(self, entry: LiveMessage | LiveStory) -> tuple[int, bool, bool, str]:
        if isinstance(entry, LiveStory):
            return (len(_STEPS), False, False, entry.text)
        request = entry.action.removeprefix("on_")
        step = _STEPS.index(request) if request in _STEPS else len(_STEPS)
        # The gateway passes on what it was sent.
        return (step, entry.action.startswith("on_"), entry.sender == self._gateway_id, entry.recipient)

    @property
    def buyer(self) -> str:
        """Who buys; empty where nobody has said. Only a buyer searches, asks and is called back."""
        for message in self._messages.values():
            name = message.recipient if message.action.startswith("on_") else message.sender
            if name != self._gateway_id:
                return name
        return ""


_STEPS = ("search", "select", "init", "confirm", "status", "update", "cancel")


def _merged(one: LiveMessage, other: LiveMessage) -> LiveMessage:
    """The two accounts of one message: it was sent when the earlier says, and answered unless both say it was not."""
    answered = other if one.answer is Answer.LOST else one
    return answered.model_copy(update={"at_ms": min(one.at_ms, other.at_ms)})
