"""Makes the case's events (seeded) and computes what must come out, with pandas. Needs pandas 3.1."""
import json
import pathlib
import random

import pandas as pd

here = pathlib.Path(__file__).parent
rng = random.Random(11)
ROWS = 700

frames = []
(here / "events").mkdir(exist_ok=True)
for part in range(2):
    rows = pd.DataFrame({"n": range(part * ROWS, (part + 1) * ROWS)})
    rows["kind"] = [rng.choices(["click", "refund"], [98, 2])[0] for _ in range(ROWS)]
    rows["amount"] = [rng.randrange(0, 40_000) / 4 for _ in range(ROWS)]
    # Bad rows at the start; one that loops, which costs 10 call limits to find, in a call of its own.
    for n in rng.sample(range(400), 6):
        rows.loc[n, "amount"] = -rows.loc[n, "amount"] - 0.25
        rows.loc[n, "kind"] = "click"
    rows.loc[450, ["kind", "amount"]] = ["deep", 1.5]
    rows.loc[600 + part, ["kind", "amount"]] = ["loop", 2.5]
    rows.to_json(here / "events" / ("part-%d.jsonl" % part), orient="records", lines=True)
    frames.append(rows)
events = pd.concat(frames, ignore_index=True)

events["why"] = "kept"
events.loc[events["kind"] == "refund", "why"] = "a refund"
events.loc[events["kind"].isin(["loop", "deep"]), "why"] = events["kind"]
events.loc[events["amount"] < 0, "why"] = "panic"


def write(name, rows):
    (here / "expected").mkdir(exist_ok=True)
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    (here / "expected" / (name + ".jsonl")).write_text(text)


kept = events[events["why"] == "kept"].drop(columns="why")
# Halves away from zero, as Rust rounds; amounts are quarters and not negative here.
kept["rounded"] = (kept["amount"] + 0.5) // 1
write("kept", kept.to_dict("records"))
bad = events[events["why"] != "kept"]
as_row = lambda row: json.dumps({"n": row["n"], "kind": row["kind"], "amount": row["amount"]}, separators=(",", ":"))
write("refused", [{"why": row["why"], "row": as_row(row)} for row in bad.to_dict("records")])
