"""BTCTurk errors: message and code to class. A table; decides nothing else.

Source: the exchange's pages Errors, Cancel an Order, Rate Limits and Recent changes. Messages come first: the numbers
were wrong from 2022-12 to 2024-05 (protocol facts, BTCTurk 3), and most messages have none.
"""

from typing import Final

from desk.venues.outcome import ErrorTable, Klass

TABLE: Final = ErrorTable(
    messages=(
        (None, "invalid nonce", Klass.RESYNC_CLOCK),
        (None, "unauthorized", Klass.FATAL_AUTH),
        (None, "too_many_requests", Klass.RATE_LIMITED),
        (None, "balance_not_enough", Klass.REJECTED),
        (None, "failed_order_with_open_orders", Klass.REJECTED),  # the free balance is locked by open orders
        (None, "failed_order_parameter", Klass.LOCAL_BUG),
        (None, "failed_min_total_amount", Klass.LOCAL_BUG),
        (None, "failed_invalid_price_scale", Klass.LOCAL_BUG),
        (None, "failed_invalid_quantity_scale", Klass.LOCAL_BUG),
        (None, "failed_invalid_stop_price_scale", Klass.LOCAL_BUG),
        (None, "price_must_be_less_than", Klass.LOCAL_BUG),
        (None, "order_min_price_exceeded", Klass.LOCAL_BUG),
        (None, "order_max_price_exceeded", Klass.LOCAL_BUG),
        (None, "order_method_not_supported", Klass.LOCAL_BUG),
        (None, "order_type_not_supported", Klass.LOCAL_BUG),
        (None, "failed_market_order", Klass.SYMBOL_HALTED),  # "not open for the pair"
        (None, "failed_limit_order", Klass.SYMBOL_HALTED),
        (None, "stop_price_greater_than", Klass.REJECTED),  # the market has moved past the stop
        (None, "stop_price_less_than", Klass.REJECTED),
        (None, "no_order_matches_your_request", Klass.ORDER_NOT_FOUND_QUERY_FIRST),
        (None, "order_could_not_be_canceled", Klass.ORDER_ALREADY_FINAL),
        (None, "order_cancel_blocked", Klass.MAINTENANCE_RETRY_CANCEL),
        (None, "order not found", Klass.ORDER_NOT_FOUND),
        (None, "duplicate", Klass.ALREADY_EXISTS),  # not documented; whatever it says, the safe act is to query
    ),
    codes={
        401: Klass.FATAL_AUTH,
        429: Klass.RATE_LIMITED,
        1118: Klass.SYMBOL_HALTED,
        1120: Klass.SYMBOL_HALTED,
        1122: Klass.REJECTED,
        1123: Klass.LOCAL_BUG,
        1124: Klass.REJECTED,
        1125: Klass.REJECTED,
        1126: Klass.LOCAL_BUG,
        1127: Klass.LOCAL_BUG,
        1128: Klass.LOCAL_BUG,
        1134: Klass.LOCAL_BUG,
        1152: Klass.ORDER_NOT_FOUND,
        1193: Klass.LOCAL_BUG,
        1226: Klass.LOCAL_BUG,
        1227: Klass.LOCAL_BUG,
    },
    ranges=(),
    counted_codes=frozenset({429}),
    success_codes=frozenset({0}),
)
