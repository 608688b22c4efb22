"""An exchange in a box: Binance, MEXC and BTCTurk spot over real HTTP on 127.0.0.1, with its own independent books.

Map of the rooms (each is one file):
  decimals, rejections       money arithmetic; why an engine refuses
  bars, seeded, path         recorded or seeded candles -> one piecewise linear price path
  candles, public_trades     klines, statistics and the public tape, computed from the path
  ladder                     the synthetic order book and what takers have eaten of it
  symbols, filters           trading rules of a symbol and their enforcement
  orders, account            orders and trades; balances, fees and the conservation law
  terms                      how a venue charges: fee from what is received, or fee and tax in the quote currency
  engine, timeline           placing, cancelling, matching; what happens on the path while time moves
  clock, scenario, faults    time modes; scripted events; every misbehaviour on demand
  limits, auth, calls        weights and bans; signatures and timestamps; one HTTP call and its answer
  binance_*, mexc_*, btcturk_*   the three REST dialects
  market_streams, user_events   what streams push while time moves; what the account's owner is told
  ws_api, ws_feed, ws_hub    Binance's WebSocket API; one connection and its faults; all connections
  exchange, admin, server    the whole put together; /sim/*; sockets and `running_sim`

It never imports `desk`: it is the independent party the desk is checked against. It writes no file.
"""
