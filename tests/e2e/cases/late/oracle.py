"""Makes the case's readings (seeded) and what must come out: a row is late when the watermark (the largest time so far less 30 s, of the rows
before it) has passed the end of its minute, or when it has no time. No library."""
import collections
import json
import pathlib
import random

here = pathlib.Path(__file__).parent
rng = random.Random(11)
T = lambda s: "2026-05-0%dT%02d:%02d:%02d" % (1 + s // 86400, s // 3600 % 24, s // 60 % 60, s % 60)
rows, now = [], 86_300
for n in range(400):
    now += rng.randrange(8)
    at = None if rng.random() < 0.02 else max(0, now - (rng.randrange(150) if rng.random() < 0.3 else rng.randrange(20)))
    rows.append((rng.choice(["a", "b", None]), None if rng.random() < 0.1 else rng.randrange(-50, 50), at))
text = "value,ignored,sensor,at\n"
text += "".join("%s,x,%s,%s\n" % ("" if v is None else v, s or "", "" if at is None else T(at)) for s, v, at in rows)
(here / "readings.csv").write_text(text)

windows, late, largest = collections.OrderedDict(), [], None
for sensor, value, at in rows:
    start = None if at is None else at // 60 * 60
    if at is None or (largest is not None and largest - 30 >= start + 60):
        late.append({"sensor": sensor, "value": value, "at": None if at is None else T(at)})
    else:
        windows.setdefault((start, sensor), []).append(value)
    if at is not None:
        largest = at if largest is None else max(largest, at)
result = []
for (start, sensor), values in windows.items():
    known = [v for v in values if v is not None]
    result.append({"window_start": T(start), "window_end": T(start + 60), "window_time": T(start + 59) + ".999999", "sensor": sensor,
                   "n": len(values), "known": len(known), "total": sum(known) if known else None})
(here / "expected").mkdir(exist_ok=True)
for name, lines in (("minutes", result), ("late", late)):
    (here / "expected" / (name + ".jsonl")).write_text("".join(json.dumps(line) + "\n" for line in lines))
print(len(late), "late rows of", len(rows))
