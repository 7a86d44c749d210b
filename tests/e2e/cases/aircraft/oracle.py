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

# How far the delays of a carrier lie apart: windows of thirty days from 1970-01-01 on, the same every ten days, and spells without a pause of
# two days.
apart = lambda delays: float(delays.max() - delays.min())
epoch = pd.Timestamp("1970-01-01", tz="UTC")


def windows(size, slide):
    """Each flight once for every window that it is in."""
    parts = []
    for back in range(int(pd.Timedelta(size) / pd.Timedelta(slide))):
        start = epoch + (departed["time"] - epoch) // pd.Timedelta(slide) * pd.Timedelta(slide) - back * pd.Timedelta(slide)
        parts.append(departed.assign(day=start))
    return pd.concat(parts).groupby(["day", "carrier"])["dep_delay"]


write("by_month", [{"day": stamp(day), "carrier": carrier, "flights": len(delays), "apart": apart(delays)}
                   for (day, carrier), delays in windows("30D", "30D")])
write("by_rolling", [{"day": stamp(day), "carrier": carrier, "apart": apart(delays)} for (day, carrier), delays in windows("30D", "10D")])
flown = departed.sort_values(["carrier", "time"], kind="stable")
paused = flown.groupby("carrier")["time"].diff() >= pd.Timedelta("2D")
spells = flown.assign(spell=paused.groupby(flown["carrier"]).cumsum()).groupby(["carrier", "spell"])
write("by_season", [{"start": stamp(spell["time"].min()), "carrier": carrier, "flights": len(spell), "apart": apart(spell["dep_delay"])}
                    for (carrier, _), spell in spells])
