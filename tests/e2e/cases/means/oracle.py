"""What must come out, by pandas 3.1: python3 oracle.py FOLDER-WITH-FLIGHTS.CSV. Writes expected/*.jsonl."""
import json
import pathlib
import sys

import pandas as pd

here = pathlib.Path(__file__).parent
flights = pd.read_csv(pathlib.Path(sys.argv[1]) / "flights.csv", keep_default_na=False, na_values=["NA"])
flights["time"] = pd.to_datetime(flights["time_hour"])
flights["value"] = flights["dep_delay"].astype("Int64")
epoch, gap = pd.Timestamp("1970-01-01", tz="UTC"), pd.Timedelta("10D")
stamp = lambda time: time.strftime("%Y-%m-%dT%H:%M:%SZ")


def write(name, rows):
    (here / "expected").mkdir(exist_ok=True)
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    (here / "expected" / (name + ".jsonl")).write_text(text)


def results(values):
    """Of the values of a window and key: natively, then by the plugin. Nulls do not count."""
    known = values.dropna()
    total = int(known.sum()) if len(known) else None
    mean = float(known.mean()) if len(known) else None
    return {"known": len(known), "total": total, "count": len(known), "sum": total, "mean": mean}


def windows(rows, size, slide):
    """Each row once for every window that it is in: windows of a size that begin a slide apart, from 1970-01-01 on."""
    size, slide = pd.Timedelta(size), pd.Timedelta(slide)
    last = epoch + (rows["time"] - epoch) // slide * slide
    return pd.concat([rows.assign(day=last - back * slide) for back in range(size // slide)])


for name, slide in (("by_month", "30D"), ("by_rolling", "10D")):
    groups = windows(flights, "30D", slide).groupby(["day", "carrier"])["value"]
    write(name, [{"day": stamp(day), "carrier": carrier, "flights": len(values)} | results(values) for (day, carrier), values in groups])
of_all = flights.groupby("carrier")["value"]
write("by_carrier", [{"carrier": carrier, "flights": len(values)} | results(values) for carrier, values in of_all])

# A new use begins where an aircraft has not flown for ten days.
flown = flights.sort_values("time", kind="stable")
before = flown.groupby("tailnum", dropna=False)["time"].shift()
flown["use"] = (before.isna() | (flown["time"] - before >= gap)).groupby(flown["tailnum"], dropna=False).cumsum()
uses = [{"begin": use["time"].min(), "finish": use["time"].max() + gap, "tailnum": None if pd.isna(tailnum) else tailnum,
         "flights": len(use)} | results(use["value"]) for (tailnum, _), use in flown.groupby(["tailnum", "use"], dropna=False)]
write("by_use", [use | {"begin": stamp(use["begin"]), "finish": stamp(use["finish"])} for use in uses if use["flights"] >= 100])
# A use's result is of the time of its end less a microsecond.
ended = pd.DataFrame({"time": [use["finish"] - pd.Timedelta("1us") for use in uses], "flights": [use["flights"] for use in uses],
                      "value": pd.array([use["sum"] for use in uses], dtype="Int64")})
write("by_month_of_uses", [{"day": stamp(day), "uses": len(group), "flights": int(group["flights"].sum())} | results(group["value"])
                           for day, group in windows(ended, "30D", "30D").groupby("day")])
print(len(uses), "uses,", sum(use["sum"] is None for use in uses), "of them without a value")
