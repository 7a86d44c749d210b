"""Makes the case's events (seeded) and computes what must come out, with pandas. Needs pandas 3.1."""
import json
import pathlib
import random

import pandas as pd

here = pathlib.Path(__file__).parent
rng = random.Random(7)
BASE = pd.Timestamp("2026-03-01T20:00:00Z").value // 1000
MALFORMED = ['{"user":"u1"', '{"user":"u1","item":"i1","kind":"click","amount":1.0,"at":"yesterday"}', '{}{}', 'null', '[1,2]',
             '{"user":"u1","item":"i1","kind":"click","amount":"much","at":"2026-03-01T20:00:00Z"}',
             '{"user":null,"item":"i1","kind":"click","amount":1.0,"at":"2026-03-01T20:00:00Z"}']


def event(n):
    kind = rng.choices(["click", "purchase", "refund"], [80, 18, 2])[0]
    user = "robot-%d" % rng.randrange(3) if rng.random() < 0.05 else "user-%d" % rng.randrange(12)
    amount = rng.choice([None, -1.5]) if rng.random() < 0.03 else round(rng.uniform(0, 99), 2)
    micros = BASE + n * 17_000_000 + rng.randrange(600_000_000)
    at = pd.Timestamp(micros * 1000, tz="UTC").strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"user": user, "item": "item %d/ä" % rng.randrange(6), "kind": kind, "amount": amount, "at": at}


def compact(row):
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def reason(row):
    if row["kind"] == "refund":
        return "unknown kind `refund`"
    if row["amount"] is None:
        return "amount is absent"
    return "amount -1.5 makes no sense" if row["amount"] < 0 else None


def write(name, rows):
    (here / "expected").mkdir(exist_ok=True)
    (here / "expected" / (name + ".jsonl")).write_text("".join(compact(row) + "\n" for row in rows))


(here / "events").mkdir(exist_ok=True)
good, malformed = [], []
for part in range(2):
    lines, offset = [], 0
    for n in range(800):
        text = compact(event(part * 800 + n))
        if rng.random() < 0.01:
            text = rng.choice(MALFORMED)
            malformed.append({"split": "part-%d.jsonl" % part, "row_offset": offset, "row": text})
        else:
            good.append(json.loads(text))
        lines.append(text)
        offset += len(text.encode()) + 1
        if rng.random() < 0.01:
            lines.append("")
            offset += 1
    (here / "events" / ("part-%d.jsonl" % part)).write_text("\n".join(lines) + "\n")

refused = [row for row in good if reason(row)]
kept = pd.DataFrame([row for row in good if not reason(row) and not row["user"].startswith("robot-")])
kept["at"] = pd.to_datetime(kept["at"])
kept["start"] = kept["at"].dt.floor("h")


def windows(kind, key, aggregates):
    rows = kept[kept["kind"] == kind].groupby(["start", key]).agg(**aggregates).reset_index()
    stamp = lambda time, fraction="": time.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"
    for row in rows.to_dict("records"):
        start = row.pop("start")
        end = start + pd.Timedelta("1h")
        yield {"window_start": stamp(start), "window_end": stamp(end), "window_time": stamp(end - pd.Timedelta("1s"), ".999999"), **row}


users = windows("click", "user", {"clicks": ("amount", "size"), "avg_seconds": ("amount", "mean")})
write("users", [{"day": row["window_start"][:10], **row} for row in users])
items = windows("purchase", "item", {"purchases": ("amount", "size"), "avg_price": ("amount", "mean"), "revenue": ("amount", "sum")})
# A partition column is in the folder's name, percent-encoded in Hive's style (upper case, UTF-8).
write("items", [{**row, "item": row["item"].replace("/", "%2F")} for row in items])
# An operator's dead letter is the row as JSON: nulls left out, times as RFC 3339 with as many digits as they need.
def as_written(row):
    row = {key: value for key, value in row.items() if value is not None}
    head, fraction = row["at"][:-1].split(".")
    digits = 6 if not fraction.endswith("000") else 3
    row["at"] = head + ("." + fraction[:digits] if int(fraction) else "") + "Z"
    return compact(row)
write("refused", [{"operator": "clean", "reason": reason(row), "row": as_written(row)} for row in refused])
write("malformed", malformed)
