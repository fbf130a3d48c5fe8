"""Chat models for tests: LangChain's own fake, with tools, and with time to think that is the event loop's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, JsonValue

Answer = BaseMessage | Exception


class FakeChatModel(FakeMessagesListChatModel):
    """Answers with what `answer` makes of the question, after `thinks_s`; `heard` is all that it was told."""

    responses: list[BaseMessage] = Field(default=[])
    answer: Callable[[str], Answer]
    thinks_s: float = 0.0
    heard: list[list[BaseMessage]] = Field(default=[])

    def bind_tools(self, tools: Any, **more: Any) -> Any:  # noqa: ARG002 - any tools
        return self

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self.heard.append(messages)
        await asyncio.sleep(self.thinks_s)
        answer = self.answer(asked(messages))
        if isinstance(answer, Exception):
            raise answer
        return ChatResult(generations=[ChatGeneration(message=answer)])


def asked(messages: list[BaseMessage]) -> str:
    """The text of a question."""
    [question] = [message.content for message in messages if isinstance(message, HumanMessage)]
    assert isinstance(question, str)
    return question


def call(args: dict[str, JsonValue], name: str = "ChoiceAnswer") -> AIMessage:
    """The answer of a model that uses the tool it was given."""
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": "1"}])


def picking(*parts: tuple[int, int]) -> AIMessage:
    """The answer that picks parts: number of the offer, Wh."""
    return call({"picks": [{"offer": number, "energy_wh": energy_wh} for number, energy_wh in parts]})
