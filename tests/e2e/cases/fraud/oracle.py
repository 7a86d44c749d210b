"""Makes the case's charges (seeded) and what must come out, card by card in the order of the file. No library."""
import json
import pathlib
import random

here = pathlib.Path(__file__).parent
rng = random.Random(41)
T = lambda s: "2026-06-0%dT%02d:%02d:%02dZ" % (1 + s // 86400, s // 3600 % 24, s // 60 % 60, s % 60)
rows, now = [], 80_000
for n in range(3000):
    now += rng.randrange(8)
    kind = rng.random()
    amount = round(rng.uniform(0.1, 0.99), 2) if kind < 0.25 else round(rng.uniform(500, 900), 2) if kind < 0.45 else -5.0 if kind < 0.46 else round(rng.uniform(1, 499), 2)
    rows.append((n, "card-%d" % rng.randrange(25), amount, now - rng.randrange(26)))
(here / "charges.csv").write_text("n,card,amount,at\n" + "".join("%d,%s,%s,%s\n" % (n, card, amount, T(at)) for n, card, amount, at in rows))
alerts, good, refused, tried = [], [], [], {}
for n, card, amount, at in rows:
    if amount < 0:
        refused.append({"reason": "a charge of -5"})
        continue
    # A small charge is remembered until the next one of its card, whatever that is, or until its two minutes are over.
    before = tried.pop(card, None)
    if before is not None and amount >= 500 and at < before + 120:
        alerts.append({"card": card, "tried_at": T(before), "amount": amount, "at": T(at)})
    else:
        good.append({"n": n, "card": card, "amount": amount, "at": T(at)})
    if amount < 1:
        tried[card] = at
(here / "expected").mkdir(exist_ok=True)
for name, lines in (("alerts", alerts), ("good", good), ("refused", refused)):
    (here / "expected" / (name + ".jsonl")).write_text("".join(json.dumps(line) + "\n" for line in lines))
print(len(alerts), "alerts,", len(good), "good,", len(refused), "refused of", len(rows))
