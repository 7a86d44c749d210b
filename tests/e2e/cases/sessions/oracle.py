"""What must come out, by pandas 3.1: python3 oracle.py FOLDER-WITH-FLIGHTS.CSV. Writes expected/*.jsonl."""
import json
import pathlib
import sys

import pandas as pd

here = pathlib.Path(__file__).parent
flights = pd.read_csv(pathlib.Path(sys.argv[1]) / "flights.csv", keep_default_na=False, na_values=["NA"])
flights["time"] = pd.to_datetime(flights["time_hour"])
gap = pd.Timedelta("2D")
stamp = lambda time, rest="": time.strftime("%Y-%m-%dT%H:%M:%S") + rest + "Z"
fraction = lambda value: None if pd.isna(value) else round(float(value), 9)
text = lambda value: None if pd.isna(value) else value


def write(name, rows):
    (here / "expected").mkdir(exist_ok=True)
    (here / "expected" / (name + ".jsonl")).write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))


flights = flights.sort_values("time", kind="stable")
before = flights.groupby("tailnum", dropna=False)["time"].shift()
flights["session"] = (before.isna() | (flights["time"] - before >= gap)).groupby(flights["tailnum"], dropna=False).cumsum()
groups = flights.groupby(["tailnum", "session"], dropna=False)
duties = groups.agg(begin=("time", "min"), last=("time", "max"), flights=("time", "size"), places=("dest", "nunique"),
                    miles=("distance", "sum"), worst=("arr_delay", "max"), usual=("arr_delay", "median")).reset_index()
duties["bad"] = groups["arr_delay"].quantile(0.75).values
duties["finish"] = duties["last"] + gap
write("duties", [{"begin": stamp(d.begin), "finish": stamp(d.finish), "tailnum": text(d.tailnum), "flights": d.flights, "places": d.places,
                  "miles": d.miles, "worst": fraction(d.worst), "usual": fraction(d.usual), "bad": fraction(d.bad)}
                 for d in duties[duties["flights"] >= 12].itertuples()])
# A session's result is of the time of its end less a microsecond.
epoch, month = pd.Timestamp("1970-01-01", tz="UTC"), pd.Timedelta("30D")
duties["start"] = epoch + (duties["finish"] - pd.Timedelta("1us") - epoch) // month * month
write("by_month", [{"window_start": stamp(start), "window_end": stamp(start + month), "window_time": stamp(start + month - pd.Timedelta("1s"), ".999999"),
                "duties": len(group), "longest": int(group["flights"].max())} for start, group in duties.groupby("start")])
print(len(duties), "sessions")
