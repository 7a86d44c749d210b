"""What must come out, by pandas 3.1: python3 oracle.py FOLDER-WITH-FLIGHTS.CSV. Writes expected/*.jsonl."""
import json
import pathlib
import sys

import pandas as pd

here = pathlib.Path(__file__).parent
flights = pd.read_csv(pathlib.Path(sys.argv[1]) / "flights.csv", keep_default_na=False, na_values=["NA"])
flights["time"] = pd.to_datetime(flights["time_hour"])
stamp = lambda time: time.strftime("%Y-%m-%dT00:00:00Z")
fraction = lambda value: None if pd.isna(value) else round(float(value), 11)


def write(name, rows):
    (here / "expected").mkdir(exist_ok=True)
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    (here / "expected" / (name + ".jsonl")).write_text(text)


days = flights.assign(day=flights["time"].dt.floor("D")).groupby(["day", "carrier"])["dep_delay"]
write("carriers", [{"day": stamp(day), "carrier": carrier, "flights": len(group), "departed": int(group.count()),
                    "avg_delay": fraction(group.mean()), "max_delay": fraction(group.max()), "spread": fraction(group.std())}
                   for (day, carrier), group in days])
arrived = flights[flights["arr_delay"].notna()].copy()
# Weeks of seven days from 1970-01-01 on: they begin on Thursdays.
week = pd.Timedelta("7D")
epoch = pd.Timestamp("1970-01-01", tz="UTC")
arrived["week"] = epoch + (arrived["time"] - epoch) // week * week
weeks = arrived.groupby(["week", "origin", "dest"])["arr_delay"]
write("routes", [{"week": stamp(start), "origin": origin, "dest": dest, "flights": len(group), "on_time": fraction((group <= 0).mean())}
                 for (start, origin, dest), group in weeks])
