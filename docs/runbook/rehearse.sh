# A rehearsal room: an exchange in a box and a PAPER folder of its own, for the rest of this shell. Nothing else is
# touched, and time stands still until you say `minutes`. Source it in the checkout, after `make setup`:
#
#   . docs/runbook/rehearse.sh             Binance and BTCUSDT; VENUE=btcturk SYMBOL=BTCTRY before it: that one
#   minutes 3                   three minutes pass; the due jobs run, as cron would run them (in LIVE: router.py --live)
#   silence 10                  ten minutes pass and nothing runs
#   signal_buy 100              leave a signal: buy for 100 (quote currency), stop 2 % below, target 3 % above
#   fault KIND [COUNT] [PATH] [ARG]    break the exchange for the next COUNT requests to PATH (a prefix); COUNT 0 = until
#                               `no_faults`. Kinds: docs/runbook/sanad.md, "The end of the rehearsal"
#   streamed                    wait for market_stream.py to be up to date (Binance)
#   transfer ASSET AMOUNT       a deposit; a negative amount is a withdrawal
#   trade_by_hand BUY|SELL QUANTITY    somebody trades BTCUSDT past us, with the same key
#   exchange_orders             every order by the exchange's own books
#   unplug after|before         a router that loses power after, or just before, the exchange took its order
#   rehearsal_end               stop the exchange; the folder stays for a look

if [ ! -f scripts/exchange_sim.py ] || [ ! -x .venv/bin/python ]; then
  echo "rehearse: source it in the checkout, after make setup" >&2
  return 2
fi

_admin() {  # _admin METHOD PATH [JSON]: the exchange's own door
  .venv/bin/python - "$SIM_URL" "$@" <<'PY'
import sys, urllib.request
url, method, path, *body = sys.argv[1:]
request = urllib.request.Request(url + path, body[0].encode() if body else None, method=method)
print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).read().decode())
PY
}

_job() { python3 "scripts/$1.py" "${@:2}" | tail -n 1; }

silence() { _admin POST /sim/advance "{\"ms\": $((${1:-1} * 60000))}" >/dev/null; }

minutes() {
  local n
  for ((n = 0; n < ${1:-1}; n++)); do
    silence 1 || return
    if ((_MINUTE++ % 5 == 0)); then _job reconcile; fi
    if [ "$SYSTEM_MODE" = LIVE ]; then _job router --live; else _job router; fi
    _job heartbeat
  done
}

fault() {
  local count=${2:-1}
  if [ "$count" = 0 ]; then count=null; fi
  _admin POST /sim/faults "{\"kind\": \"$1\", \"count\": $count, \"match\": {\"path\": \"${3:-/api}\"}${4:+, \"arg\": $4}}"
}

no_faults() { _admin DELETE /sim/faults; }

signal_buy() {
  .venv/bin/python - "$SIM_URL" "$SANAD_HOME" "$VENUES" "$UNIVERSE_SYMBOLS" "$1" <<'PY'
import json, os, sys, urllib.request
from datetime import datetime, timedelta, timezone
url, home, venue, symbol, notional = sys.argv[1:]
get = lambda path: json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url + path, timeout=10))
now = datetime.fromtimestamp(get("/sim/clock")["now_ms"] / 1000, timezone.utc)
if venue == "btcturk":
    ask = float(get(f"/api/v2/ticker?pairSymbol={symbol}")["data"][0]["ask"])
else:
    ask = float(get(f"/api/v3/ticker/bookTicker?symbol={symbol}")["askPrice"])
name = f"rehearsal-{now:%H%M}"
signal = {
    "id": name, "source": "rehearsal", "venue": venue, "symbol": symbol, "side": "BUY", "kind": "ENTRY",
    "notional_quote": notional, "edge_bps": "100", "stop_price": f"{ask * 0.98:.2f}",
    "target_price": f"{ask * 1.03:.2f}", "created_at": now.isoformat(),
    "expires_at": (now + timedelta(hours=1)).isoformat(),
}
with open(f"{home}/signals/.{name}.tmp", "w") as handle:
    json.dump(signal, handle)
os.replace(handle.name, f"{home}/signals/{name}.json")  # by rename, so that no router reads half a signal
print(f"signals/{name}.json: BUY {symbol} for {notional}")
PY
}

unplug() {
  .venv/bin/python - "${1:-after}" <<'PY'
import os, sys
sys.path.insert(0, "scripts")
import router
from desk.execution import intent, lists, submit, submit_list

def dies(order_id, place):
    if sys.argv[1] == "after":
        place()
    print(f"unplugged {sys.argv[1]} the exchange took order {order_id}", flush=True)
    os._exit(137)

def alone(desk, plan, order_id, timestamp_ms, last_check):
    account = desk.account_of(plan.venue)
    dies(order_id, lambda: account.place_order(intent.request_of(plan, order_id), timestamp_ms))

def listed(desk, kind, legs, timestamp_ms, last_check):
    account, request = desk.account_of(legs[0][1].venue), lists.request_of(kind, legs[0][1].list_id, legs)
    dies(legs[0][0], lambda: account.place_order_list(request, timestamp_ms))

submit._send, submit_list._send = alone, listed
router.main(["--once", "--live"] if os.environ["SYSTEM_MODE"] == "LIVE" else ["--once"])
PY
  [ $? = 137 ] || { echo "unplug: the router had no order to send; leave a signal first" >&2; return 1; }
}

streamed() {  # wait until market_stream.py has written down what the exchange shows now, 60 s at most
  .venv/bin/python - "$SIM_URL" "$SANAD_HOME" <<'PY'
import json, pathlib, sys, time, urllib.request
url, home = sys.argv[1:]
get = lambda: json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url + "/sim/clock", timeout=10))
file = pathlib.Path(home, "state", "market_data_binance_ws.json")
until = time.monotonic() + 60
while time.monotonic() < until:
    if file.exists():
        rows = json.loads(file.read_text())["symbols"].values()
        if rows and all(row["as_of_ms"] == get()["now_ms"] for row in rows):
            sys.exit(0)
    time.sleep(0.1)
sys.exit("streamed: the service is not up to date; see $SANAD_HOME/stream.out")
PY
}

transfer() { _admin POST /sim/transfer "{\"asset\": \"$1\", \"amount\": \"$2\"}"; }

trade_by_hand() {
  .venv/bin/python - "$1" "$2" <<'PY'
import os, sys
from pathlib import Path
sys.path.insert(0, "scripts")
import binance_client
from desk.base.paths import Home
from desk.config.load import load

client = binance_client.make_client(load(Home(Path(os.environ["SANAD_HOME"]))))
order = {"symbol": "BTCUSDT", "side": sys.argv[1], "type": "MARKET", "quantity": sys.argv[2]}
order["newClientOrderId"] = f"hand{client.caller.clock.venue_now_ms()}"
told = client.request("POST", "/api/v3/order", order, signed=True)
print(f"by hand: {told['side']} {told['executedQty']} {told['status']}, order {told['orderId']}")
PY
}

exchange_orders() {
  _admin GET /sim/books | .venv/bin/python -c 'import json, sys
for order in json.load(sys.stdin)["orders"]:
    print(*(order[name] for name in ("side", "type", "status", "origQty")), "at", order["price"], order["clientOrderId"])'
}

rehearsal_end() {
  kill "$SIM_PID" && wait "$SIM_PID" 2>/dev/null
  echo "the exchange is stopped; the folder stays: $SANAD_HOME"
}

SANAD_HOME=$(mktemp -d) && mkdir "$SANAD_HOME/signals" && : >"$SANAD_HOME/.env"
VENUES=${VENUE:-binance} UNIVERSE_SYMBOLS=${SYMBOL:-BTCUSDT}
.venv/bin/python scripts/exchange_sim.py --venue "$VENUES" --symbol "$UNIVERSE_SYMBOLS" --seed "${SEED:-11}" --step \
  >"$SANAD_HOME/exchange.json" &
SIM_PID=$! _MINUTE=0
for _ in {1..300}; do [ -s "$SANAD_HOME/exchange.json" ] && break; sleep 0.1; done
SIM_URL=$(.venv/bin/python -c 'import json, sys; print(json.loads(open(sys.argv[1]).readline())["rest_url"])' \
  "$SANAD_HOME/exchange.json") || return 2
export SANAD_HOME SYSTEM_MODE=PAPER VENUE_ENV=sim VENUES UNIVERSE_SYMBOLS SAFE_MODE=false DRY_RUN=false
export SANAD_CLOCK=$SIM_URL/sim/clock "${VENUES^^}_REST_URL=$SIM_URL" "${VENUES^^}_WS_URL=${SIM_URL/http:/ws:}"
export "${VENUES^^}_API_KEY=simkey" "${VENUES^^}_API_SECRET=simsecret"
echo "rehearsal folder $SANAD_HOME, exchange $SIM_URL"
