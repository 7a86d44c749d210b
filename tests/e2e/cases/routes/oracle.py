"""Makes the case's events (seeded) and what must come out, in plain Python."""
import json
import pathlib
import random

here = pathlib.Path(__file__).parent
rng = random.Random(5)
events = [{"user": "user-%d" % rng.randrange(9), "item": "item-%d" % rng.randrange(9), "kind": rng.choice(["click", "purchase"]),
           "amount": rng.randrange(0, 10000) / 100, "at": "2026-01-01T00:%02d:%02dZ" % (n // 60, n % 60)} for n in range(500)]
lines = lambda rows: "".join(json.dumps(row) + "\n" for row in rows)
(here / "events.jsonl").write_text(lines(events))
(here / "expected").mkdir(exist_ok=True)
both = [{"who": e["user"].upper(), "amount": e["amount"], "source": e["kind"]} for e in events]
(here / "expected" / "both.jsonl").write_text(lines(both))
high = [{**e, "revenue_class": "high"} for e in events if e["kind"] == "purchase" and e["amount"] >= 50]
(here / "expected" / "high.jsonl").write_text(lines(high))
