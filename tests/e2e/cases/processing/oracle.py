"""Makes the case's orders (seeded) and what must come out, by pandas 3.1."""
import json
import pathlib
import random

import pandas as pd

here = pathlib.Path(__file__).parent
rng = random.Random(5)
rows = [("shop-%d" % rng.randrange(40), None if rng.random() < 0.1 else rng.randrange(30), round(rng.uniform(1, 90), 2)) for _ in range(3000)]
(here / "orders.csv").write_text("shop,item,price\n" + "".join("%s,%s,%s\n" % (s, "" if i is None else i, p) for s, i, p in rows))
orders = pd.DataFrame(rows, columns=["shop", "item", "price"])
result = [{"shop": shop, "orders": len(group), "items": int(group["item"].nunique()), "revenue": float(group["price"].sum()),
           "typical": float(group["price"].quantile(0.75))} for shop, group in orders.groupby("shop")]
(here / "expected").mkdir(exist_ok=True)
(here / "expected" / "sales.jsonl").write_text("".join(json.dumps(row) + "\n" for row in result))
