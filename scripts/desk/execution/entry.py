"""Sending one entry: alone, or with its protective legs where the exchange takes them in one list."""

import functools

from desk.execution import accounts, lists, lookup, submit, submit_list
from desk.execution.desk import Desk
from desk.execution.intent import OrderPlan
from desk.execution.submit import Sent


def send(desk: Desk, plan: OrderPlan) -> Sent:
    """Send it once; what is unknown is looked up at once, so that what is found is protected in this tick.

    Raises:
        JournalError, DeadlinePassed: as `submit.submit`; nothing was sent.
    """
    rules = desk.rules(plan.venue, plan.symbol)
    listed = lists.with_entry(desk, plan, rules) if rules is not None else None
    may_enter = functools.partial(accounts.entry_block, desk)
    sent = submit_list.submit_list(desk, *listed, may_enter) if listed else submit.submit(desk, plan, may_enter)
    if sent.intent is not None and sent.intent.state == "SENT_UNKNOWN":
        lookup.look(desk, sent.order_id, sent.intent)
        submit_list.look(desk, sent.intent.list_id)
    return sent
