"""What must come out, by pandas 3.1: python3 oracle.py FOLDER-WITH-FLIGHTS.CSV. Writes expected/*.jsonl."""
import json
import pathlib
import sys

import pandas as pd

here = pathlib.Path(__file__).parent
columns = ["carrier", "flight", "origin", "dest", "dep_delay", "arr_delay", "time_hour"]
flights = pd.read_csv(pathlib.Path(sys.argv[1]) / "flights.csv", keep_default_na=False, na_values=["NA"])[columns]
flights["time_hour"] = pd.to_datetime(flights["time_hour"])
epoch = pd.Timestamp("1970-01-01", tz="UTC")
stamp = lambda time: time.strftime("%Y-%m-%dT%H:%M:%SZ")
number = lambda value: None if pd.isna(value) else float(value)


def starts(rows, slide):
    return epoch + (rows["time_hour"] - epoch) // pd.Timedelta(slide) * pd.Timedelta(slide)


def first(rows, groups, by, ascending, n):
    """The first n rows of each group; ties by the other columns as they are named, then by what orders nothing more."""
    rest = [column for column in rows.columns if column not in by]
    ordered = rows.sort_values(by + rest, ascending=ascending + [True] * len(rest), na_position="last", kind="stable")
    picked = ordered.groupby(groups, sort=False).head(n)
    return picked.assign(rank=picked.groupby(groups, sort=False).cumcount() + 1)


def write(name, rows):
    (here / "expected").mkdir(exist_ok=True)
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    (here / "expected" / (name + ".jsonl")).write_text(text)


departed = flights[flights["dep_delay"].notna()]
days = departed.assign(start=starts(departed, "1D")).groupby(["start", "origin", "carrier"])["dep_delay"].agg(["size", "sum"]).reset_index()
days.columns = ["start", "origin", "carrier", "flights", "delay"]
latest = first(days, ["start", "origin"], ["delay"], [False], 3)
write("carriers", [{"day": stamp(row.start), "origin": row.origin, "rank": row.rank, "carrier": row.carrier, "flights": row.flights,
                    "delay": row.delay} for row in latest.itertuples()])
busiest = first(days, ["start"], ["flights", "delay"], [False, True], 1)
write("busiest", [{"day": stamp(row.start), "rank": row.rank, "origin": row.origin, "carrier": row.carrier, "flights": row.flights}
               for row in busiest.itertuples()])
weeks = departed.assign(start=starts(departed, "7D"))
latest = first(weeks, ["start", "carrier"], ["dep_delay", "time_hour"], [False, True], 2)
write("delayed", [{"week": stamp(row.start), "carrier": row.carrier, "rank": row.rank, "flight": row.flight, "dest": row.dest,
                   "time": stamp(row.time_hour), "delay": row.dep_delay} for row in latest.itertuples()])
parts = [flights.assign(start=starts(flights, "10D") - back * pd.Timedelta("10D")) for back in range(3)]
made_up = first(pd.concat(parts), ["start"], ["arr_delay"], [True], 5)
write("early", [{"start": stamp(row.start), "rank": row.rank, "carrier": row.carrier, "flight": row.flight, "delay": number(row.arr_delay)}
                  for row in made_up.itertuples()])
