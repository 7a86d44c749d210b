"""Makes the case's trades (seeded) and computes every sliding window with pandas 3.1. `quantile` is an approximation, which is exact at its ends."""
import json
import pathlib
import random

import pandas as pd

here = pathlib.Path(__file__).parent
rng = random.Random(3)
start = pd.Timestamp("2026-02-28T22:00:00Z")
rows = []
for n in range(300):
    at = start + pd.Timedelta(seconds=40 * n + rng.randrange(300))
    price = None if rng.random() < 0.05 else round(rng.uniform(5, 50), 2)
    rows.append((at, rng.choice(["AAA", "BB", "TEST"]), price, None if rng.random() < 0.1 else rng.randrange(1, 9)))
na = lambda value: "NA" if value is None else str(value)
lines = ["%s;%s;%s;%s\n" % (at.strftime("%Y-%m-%dT%H:%M:%SZ"), s, na(p), na(v)) for at, s, p, v in rows]
(here / "trades.csv").write_text("at;symbol;price;volume\n" + "".join(lines))

trades = pd.DataFrame(rows, columns=["at", "symbol", "price", "volume"])
trades = trades[trades["price"].notna() & (trades["symbol"] != "TEST")]
stamp = lambda time, fraction="": time.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"
result = []
first = trades["at"].min().floor("10min") - pd.Timedelta("20min")
while first <= trades["at"].max():
    end = first + pd.Timedelta("30min")
    window = trades[(trades["at"] >= first) & (trades["at"] < end)]
    for symbol, group in window.groupby("symbol"):
        volume, price = group["volume"].dropna(), group["price"]
        result.append({"window_start": stamp(first), "window_end": stamp(end), "window_time": stamp(end - pd.Timedelta("1s"), ".999999"),
                       "symbol": symbol, "n": len(group), "buyers": int(volume.nunique()),
                       "total": int(volume.sum()) if len(volume) else None, "mean": price.mean(), "low": price.min(),
                       "high": price.max(), "spread": price.std() if len(group) > 1 else None, "middle": price.median(), "top": price.max()})
    first += pd.Timedelta("10min")
(here / "expected").mkdir(exist_ok=True)
(here / "expected" / "half_hours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in result))
