"""Makes the case's readings (seeded) and what must come out, by keeping every row of every window. The watermark is the largest time of the
rows so far less 20 s; a window fires when it reaches its end, gives out a changed result whenever it advances, and closes `lateness` later."""
import json
import pathlib
import random
import statistics

here = pathlib.Path(__file__).parent
rng = random.Random(17)
T = lambda s, rest="": "2026-05-0%dT%02d:%02d:%02d" % (1 + s // 86400, s // 3600 % 24, s // 60 % 60, s % 60) + rest
rows, now = [], 86_300
for n in range(500):
    now += rng.randrange(8)
    at = max(0, now - (rng.randrange(240) if rng.random() < 0.3 else rng.randrange(20)))
    rows.append((n, rng.choice(["a", "b", None]), rng.randrange(-50, 50), at))
(here / "readings.csv").write_text("n,sensor,value,at\n" + "".join("%d,%s,%d,%s\n" % (n, s or "", v, T(at)) for n, s, v, at in rows))


def run(slide, lateness):
    windows, results, late, watermark, largest = {}, [], [], None, None

    def advance(to):
        nonlocal watermark
        passed, watermark = watermark, to
        for (start, sensor), window in sorted(windows.items(), key=lambda entry: (entry[0][0], entry[0][1] or "")):
            if start + 60 <= to and (passed is None or start + 60 > passed or window["changed"]):
                values = window["values"]
                results.append({"window_start": T(start), "window_end": T(start + 60), "window_time": T(start + 59, ".999999"),
                                "revision": window["results"], "sensor": sensor, "n": len(values), "total": sum(values),
                                "middle": float(statistics.median(values))})
                window["results"] += 1
                window["changed"] = False
        for at in [at for at in windows if at[0] + 60 + lateness <= to]:
            del windows[at]

    for n, sensor, value, at in rows:
        starts = [s for s in range(at // slide * slide - 60 + slide, at + 1, slide) if watermark is None or s + 60 + lateness > watermark]
        if not starts:
            late.append({"n": n, "sensor": sensor, "value": value, "at": T(at)})
        for start in starts:
            window = windows.setdefault((start, sensor), {"values": [], "results": 0})
            window["values"].append(value)
            window["changed"] = True
        largest = at if largest is None else max(largest, at)
        if watermark is None or largest - 20 > watermark:
            advance(largest - 20)
    advance(10 ** 9)
    return results, late


minutes, late = run(60, 45)
halves, very_late = run(30, 90)
(here / "expected").mkdir(exist_ok=True)
for name, lines in (("minutes", minutes), ("halves", halves), ("late", late), ("very_late", very_late)):
    (here / "expected" / (name + ".jsonl")).write_text("".join(json.dumps(line) + "\n" for line in lines))
print(sum(row["revision"] > 0 for row in minutes), sum(row["revision"] > 0 for row in halves), "replacements;", len(late), len(very_late), "late")
