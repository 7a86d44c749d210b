"""Makes the case's readings (seeded) and what must come out, by keeping every row of every window; sums are by pandas 3.1. The watermark is
the largest time of the rows so far less 20 s. A window fires when it reaches its end, gives out a changed result whenever it advances, and
closes `lateness` later; a session is given out once, and a row that reaches none is late where one of its own would have ended."""
import json
import pathlib
import random

import pandas as pd

here = pathlib.Path(__file__).parent
rng = random.Random(29)
T = lambda s, rest="": "2026-05-0%dT%02d:%02d:%02d" % (1 + s // 86400, s // 3600 % 24, s // 60 % 60, s % 60) + rest
rows, now = [], 85_500
for n in range(600):
    now += rng.randrange(5)
    at = max(0, now - (rng.randrange(200) if rng.random() < 0.25 else rng.randrange(20)))
    rows.append((n, rng.choice(["a", "b", "c", "d", None]), None if rng.random() < 0.15 else rng.randrange(-50, 50), at))
text = lambda value: "" if value is None else str(value)
(here / "readings.csv").write_text("n,sensor,value,at\n" + "".join("%d,%s,%s,%s\n" % (n, text(s), text(v), T(at)) for n, s, v, at in rows))


def result(start, end, sensor, values):
    """Nulls do not count, but for `rows`."""
    known = pd.Series(values, dtype="Int64").dropna()
    total, mean = (int(known.sum()), float(known.mean())) if len(known) else (None, None)
    return {"window_start": T(start), "window_end": T(end), "window_time": T(end - 1, ".999999"), "sensor": sensor, "rows": len(values),
            "known": len(known), "total": total, "own_count": len(known), "own_sum": total, "own_mean": mean}


def told(windows):
    """Gives each row to `windows`, and after it a watermark where there is a new one; the rows that it does not take are late."""
    late, watermark, largest = [], None, None
    for n, sensor, value, at in rows:
        if not windows.take(watermark, sensor, value, at):
            late.append({"n": n, "sensor": sensor, "value": value, "at": T(at)})
        largest = at if largest is None else max(largest, at)
        if watermark is None or largest - 20 > watermark:
            windows.advance(watermark, largest - 20)
            watermark = largest - 20
    windows.advance(watermark, 10 ** 9)
    return windows.results, late


class Fixed:
    """Windows of a minute."""

    def __init__(self, slide, lateness):
        self.slide, self.lateness, self.open, self.results = slide, lateness, {}, []

    def take(self, watermark, sensor, value, at):
        starts = range(at // self.slide * self.slide - 60 + self.slide, at + 1, self.slide)
        starts = [start for start in starts if watermark is None or start + 60 + self.lateness > watermark]
        for start in starts:
            window = self.open.setdefault((start, sensor), {"values": [], "results": 0})
            window["values"].append(value)
            window["changed"] = True
        return len(starts) > 0

    def advance(self, passed, to):
        for (start, sensor), window in self.open.items():
            if start + 60 <= to and (passed is None or start + 60 > passed or window["changed"]):
                self.results.append(result(start, start + 60, sensor, window["values"]) | {"revision": window["results"]})
                window["results"] += 1
                window["changed"] = False
        self.open = {at: window for at, window in self.open.items() if at[0] + 60 + self.lateness > to}


class Spells:
    """Sessions that 15 seconds without a row end."""

    def __init__(self):
        self.open, self.results, self.bridged = [], [], 0

    def take(self, watermark, sensor, value, at):
        reached = [spell for spell in self.open if spell["sensor"] == sensor and spell["start"] - 15 < at < spell["last"] + 15]
        if not reached and watermark is not None and at + 15 <= watermark:
            return False
        self.bridged += len(reached) > 1
        self.open = [spell for spell in self.open if all(spell is not other for other in reached)]
        self.open.append({"sensor": sensor, "start": min([at] + [spell["start"] for spell in reached]),
                          "last": max([at] + [spell["last"] for spell in reached]),
                          "values": sum((spell["values"] for spell in reached), []) + [value]})
        return True

    def advance(self, passed, to):
        for spell in self.open:
            if spell["last"] + 15 <= to:
                self.results.append(result(spell["start"], spell["last"] + 15, spell["sensor"], spell["values"]))
        self.open = [spell for spell in self.open if spell["last"] + 15 > to]


spelled = Spells()
(minutes, late), (thirds, very_late), (spells, left_out) = told(Fixed(60, 75)), told(Fixed(20, 90)), told(spelled)
(here / "expected").mkdir(exist_ok=True)
expected = {"minutes": minutes, "thirds": thirds, "spells": spells, "late": late, "very_late": very_late, "left_out": left_out}
for name, lines in expected.items():
    (here / "expected" / (name + ".jsonl")).write_text("".join(json.dumps(line) + "\n" for line in lines))
print(sum(row["revision"] > 0 for row in minutes), sum(row["revision"] > 0 for row in thirds), "replacements;",
      len(late), len(very_late), len(left_out), "late;", len(spells), "spells,", spelled.bridged, "times several became one")
