"""Makes the case's orders (seeded) and what must come out, by comparing every row with all that were kept before it. No library."""
import json
import pathlib
import random

here = pathlib.Path(__file__).parent
rng = random.Random(23)
T = lambda s: "2026-05-0%dT%02d:%02d:%02d" % (1 + s // 86400, s // 3600 % 24, s // 60 % 60, s % 60)
rows, now = [], 86_000
for n in range(600):
    now += rng.randrange(40)
    at = None if rng.random() < 0.02 else max(0, now - (rng.randrange(1500) if rng.random() < 0.2 else rng.randrange(200)))
    rows.append((n, rng.choice(["a", "b", None]), rng.randrange(8), at))
text = "n,shop,order,at\n" + "".join("%d,%s,%d,%s\n" % (n, s or "", o, "" if at is None else T(at) + "Z") for n, s, o, at in rows)
(here / "orders.csv").write_text(text)
once, late, kept, watermark = [], [], [], None
for n, shop, order, at in rows:
    row = {"n": n, "shop": shop, "order": order, "at": None if at is None else T(at) + "Z"}
    if at is None:
        late.append(row)
        continue
    # What the watermark has left ten minutes behind is forgotten.
    known = [t for s, o, t in kept if (s, o) == (shop, order) and (watermark is None or t + 600 > watermark)]
    if not any(abs(t - at) < 600 for t in known):
        if watermark is not None and at < watermark:
            late.append(row)
        else:
            once.append(row)
            kept.append((shop, order, at))
    watermark = at - 300 if watermark is None else max(watermark, at - 300)
(here / "expected").mkdir(exist_ok=True)
for name, lines in (("once", once), ("late", late)):
    (here / "expected" / (name + ".jsonl")).write_text("".join(json.dumps(line) + "\n" for line in lines))
print(len(once), "kept,", len(late), "late of", len(rows))
