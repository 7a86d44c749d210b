"""Makes the case's payments (seeded) and computes what must come out, with pandas. Needs pandas 3.1.

The payments of January are read by version 1 of the plugin, which counts in cents; those of March by version 2, which counts in mills and goes on
from what version 1 has kept. Some users pay in January alone: their state is migrated when their timers fire. A user's payments are all in one
file, so their order is known.
"""
import json
import pathlib
import random

import pandas as pd

here = pathlib.Path(__file__).parent
rng = random.Random(11)
FILES = 4


def payments(rows, users, begin, seconds):
    for n in range(rows):
        user = rng.choice(users)
        at = pd.Timestamp(begin, tz="UTC") + pd.Timedelta(seconds=n * seconds)
        yield {"user": "user-%d" % user, "cents": rng.randrange(1, 5000), "kind": rng.randrange(3), "at": at.strftime("%Y-%m-%dT%H:%M:%SZ")}


def write(folder, rows):
    (here / folder).mkdir(exist_ok=True)
    for file in range(FILES):
        of_file = [row for row in rows if int(row["user"].split("-")[1]) % FILES == file]
        (here / folder / ("part-%d.jsonl" % file)).write_text("".join(json.dumps(row) + "\n" for row in of_file))


january = list(payments(240, range(12), "2024-01-02", 600))
march = list(payments(200, [0, 1, 2, 3, 4, 5, 6, 7, 12], "2024-03-02", 600))
write("january", january)
write("march", march)

rows = pd.DataFrame(january + march)
rows["new"] = [False] * len(january) + [True] * len(march)
of_user = rows.groupby("user")
rows["total"] = of_user["cents"].cumsum()
rows["largest"] = of_user["cents"].cummax()
rows["of_kind"] = rows.groupby(["user", "kind"]).cumcount() + 1
rows["since"] = (rows.groupby(["user", "new"]).cumcount() + 1).where(rows["new"], 0)
rows["what"] = rows["new"].map({False: "cents", True: "mills"})
for column in ["total", "largest"]:
    rows[column] = rows[column].where(~rows["new"], rows[column] * 10)
columns = ["user", "what", "total", "since", "of_kind", "largest"]
ends = rows[~rows["new"]].groupby("user")["cents"].sum().mul(10).rename("total").reset_index()
ends = ends.assign(what="january", since=0, of_kind=0, largest=0)


def save(name, frame):
    (here / "expected").mkdir(exist_ok=True)
    (here / "expected" / (name + ".jsonl")).write_text("".join(json.dumps(row) + "\n" for row in frame[columns].to_dict("records")))


save("january", rows[~rows["new"]])
save("all", pd.concat([rows[columns], ends[columns]]))
