"""What a strategy from outside answers, as a decision that can be, or Nonsense with the words for its author."""

from __future__ import annotations

from wattmesh_market.plugins.watch import Nonsense, whole
from wattmesh_market.strategies.decisions import Buy, Decision, Hold, Sell
from wattmesh_market.strategies.view import StrategyView
from wattmesh_market.trade.offers import MIN_TRADE_WH, Block
from wattmesh_market.units import MAX_CONFIGURED

_MOST_BLOCKS = 1000
_MOST_CHARACTERS = 200


def checked(answer: object, view: StrategyView) -> Decision:
    """The decision, with whole numbers of Python, blocks from the most valuable on, and every limit kept."""
    if isinstance(answer, Buy):
        return _buy(answer, view)
    if isinstance(answer, Sell):
        return _sell(answer, view)
    if isinstance(answer, Hold):
        return Hold()
    of = f"the class {answer.__name__}" if isinstance(answer, type) else type(answer).__name__
    raise Nonsense(f"it must be Buy(…), Sell(…) or Hold(), not {of}")


def _buy(answer: Buy, view: StrategyView) -> Decision:
    wants, reason = answer
    if not isinstance(wants, tuple | list) or len(wants) > _MOST_BLOCKS:
        raise Nonsense(f"Buy.wants must be a tuple of at most {_MOST_BLOCKS} Blocks, not {type(wants).__name__}")
    if not isinstance(reason, str):
        raise Nonsense(f"Buy.reason must be text, not {type(reason).__name__}")
    most_micro = view.most_bid_micro_per_kwh
    blocks = []
    for one in wants:
        if not isinstance(one, tuple) or len(one) != 2:
            raise Nonsense(f"Buy.wants must have Blocks, not {type(one).__name__}")
        price, energy = one
        price_micro = most_micro if price is None else whole(price, "a block's price", 0, max(0, most_micro))
        blocks.append(Block(price_micro, whole(energy, "a block's energy", 0, view.buyable_wh)))
    energy_wh = whole(sum([block.energy_wh for block in blocks]), "the energy of all blocks", 0, view.buyable_wh)
    if energy_wh < MIN_TRADE_WH or most_micro < 0:
        return Hold()
    blocks.sort(key=lambda block: -(block.price_micro_per_kwh or 0))
    return Buy(tuple(blocks), " ".join(reason.split())[:_MOST_CHARACTERS])


def _sell(answer: Sell, view: StrategyView) -> Decision:
    energy, price = answer.energy_wh, answer.price_micro_per_kwh
    in_all_wh = view.sold_wh + view.sellable_wh
    energy_wh = in_all_wh if energy is None else whole(energy, "Sell.energy_wh", 0, in_all_wh)
    price_micro = None if price is None else whole(price, "Sell.price", view.least_ask_micro_per_kwh, MAX_CONFIGURED)
    return Sell(energy_wh, price_micro) if energy_wh >= MIN_TRADE_WH else Hold()
