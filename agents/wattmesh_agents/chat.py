"""A LangChain chat model as adviser: the strategy `chat`. Needs the extra `wattmesh[chat]`, which is imported on use.

The environment names the model, WATTMESH_CHAT_MODEL=provider:model; its key stands in the provider's own variable,
which only the provider's library reads.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from wattmesh_market.trade.advice import Advice, Adviser, Choice, NoChoice, Part, Question
from wattmesh_market.units import money_text

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

log = logging.getLogger(__name__)

MODEL = "WATTMESH_CHAT_MODEL"
_TASK = """You buy electricity for a household or a utility. From a list of offers, choose which to take and how much \
of each. Prefer what costs least in total; among equal prices prefer fewer sellers.

Limits: take only offers of the list, each at most once; of each a whole number of Wh, at least 10 and at most its \
available_wh; in total as close to need_wh as the offers allow, and never more. Wants differ in worth: at or above any \
price, take no more than the energy of those wants that are worth it (null: any price). An answer outside of these \
limits is thrown away as a whole."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartAnswer(_Answer):
    """How much to take of one offer."""

    offer: StrictInt = Field(description="Number of the offer.")
    energy_wh: StrictInt = Field(description="Energy to take of it, a whole number of Wh.")


class ChoiceAnswer(_Answer):
    """The offers to take, and how much of each."""

    picks: list[PartAnswer] = Field(description="One entry for each offer that is taken.")


class NoChatModel(Exception):
    """Why there is no chat model to ask; the text is for people."""


class ChatAdviser:
    """Asks a LangChain chat model that can give structured output. NotImplementedError when it cannot."""

    def __init__(self, model: BaseChatModel) -> None:
        self._model = model.with_structured_output(ChoiceAnswer, include_raw=True)

    async def advise(self, question: Question) -> Advice:
        """One call of the model. Raises whatever its library raises; an answer of another form is no choice."""
        answer: Any = await self._model.ainvoke([("system", _TASK), ("human", brief(question))])
        calls = getattr(answer["raw"], "tool_calls", ())
        if answer["parsing_error"] is not None or not isinstance(answer["parsed"], ChoiceAnswer) or len(calls) > 1:
            return NoChoice("its answer has not the form that was asked for")
        return Choice(tuple(Part(pick.offer, pick.energy_wh) for pick in answer["parsed"].picks))


def brief(question: Question) -> str:
    """What a model is told, as JSON: the slot, what is needed and its worth, each offer's number, price and energy."""
    told: dict[str, Any] = {
        "slot": question.slot,
        "currency": question.currency,
        "need_wh": question.need_wh,
        "wants": [
            {"worth_per_kwh": None if micro is None else money_text(micro), "energy_wh": energy_wh}
            for micro, energy_wh in question.wants
        ],
        "offers": [
            {
                "offer": number,
                "price_per_kwh": money_text(offer.price_micro_per_kwh),
                "available_wh": offer.available_wh,
            }
            for number, offer in enumerate(question.offers, 1)
        ],
    }
    return json.dumps(told)


def adviser_of(parties: Sequence[str], environ: Mapping[str, str]) -> Adviser | None:
    """The adviser for the households and utilities named, which have the strategy `chat`.

    None when nobody wants one, or there is none; then it is said, once, that the rules decide.
    """
    if not parties:
        return None
    who = f"{', '.join(parties[:5])}{f' and {len(parties) - 5} more' if len(parties) > 5 else ''}"
    try:
        adviser = _adviser(environ.get(MODEL, ""))
    except NoChatModel as reason:
        log.warning("strategy chat of %s: %s; the rules decide", who, reason)
        return None
    log.info("strategy chat of %s: %s chooses among offers", who, environ[MODEL])
    return adviser


def _adviser(name: str) -> ChatAdviser:
    if not name:
        raise NoChatModel(f"{MODEL} names no chat model (provider:model)")
    provider, _, model = name.partition(":")
    if not (provider and model):
        raise NoChatModel(f"{MODEL} must be provider:model, such as openai:gpt-5-mini")
    try:
        # By name: the package is there only with the extra.
        models = importlib.import_module("langchain.chat_models")
        return ChatAdviser(models.init_chat_model(model, model_provider=provider))
    except ImportError as error:
        raise NoChatModel(f"{name} needs a package that is not installed ({error})") from None
    except Exception as error:  # noqa: BLE001 - a provider's library may raise anything
        # Only the kind is told: such a text may show what the library was given, a key too.
        text = "are its provider's name and key right?"
        raise NoChatModel(f"{name} cannot be used ({type(error).__name__}): {text}") from None
