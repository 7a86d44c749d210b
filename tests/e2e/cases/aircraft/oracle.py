"""What must come out, by pandas 3.1: python3 oracle.py FOLDER-WITH-FLIGHTS.CSV. Writes expected/*.jsonl."""
import json
import pathlib
import sys

import pandas as pd

here = pathlib.Path(__file__).parent
flights = pd.read_csv(pathlib.Path(sys.argv[1]) / "flights.csv", keep_default_na=False, na_values=["NA"])
flights["time"] = pd.to_datetime(flights["time_hour"])
stamp = lambda time: time.strftime("%Y-%m-%dT%H:%M:%SZ")


def write(name, rows):
    (here / "expected").mkdir(exist_ok=True)
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    (here / "expected" / (name + ".jsonl")).write_text(text)


# A new session begins where an aircraft has not flown for sixty days.
known = flights[flights["tailnum"].notna()].sort_values(["tailnum", "time"], kind="stable")
apart = known.groupby("tailnum")["time"].diff() >= pd.Timedelta("60D")
sessions = known.assign(session=apart.groupby(known["tailnum"]).cumsum()).groupby(["tailnum", "session"])["time"]
write("uses", [{"user": tailnum, "start": stamp(times.min()), "end": stamp(times.max()), "events": len(times)}
               for (tailnum, _), times in sessions])
# In the order of the file.
departed = flights[flights["dep_delay"].notna()]
by_carrier = departed.groupby("carrier")["dep_delay"]
running = departed.assign(count=by_carrier.cumcount() + 1, sum=by_carrier.cumsum())
running = running[running["count"] % 100 == 0]
write("running", [{"carrier": row.carrier, "amount": float(row.dep_delay), "count": int(getattr(row, "count")), "sum": float(row.sum)}
                  for row in running[["carrier", "dep_delay", "count", "sum"]].itertuples(index=False)])
