"""Makes the case's files (seeded) with Python's gzip, zstandard 0.25 and fastavro 1.13 (which wants cramjam and backports.zstd for its codecs),
and computes what must come out with pandas 3.1."""
import decimal
import gzip
import json
import pathlib
import random
import shutil

import fastavro
import pandas as pd
import zstandard

here = pathlib.Path(__file__).parent
rng = random.Random(11)
shutil.rmtree(here / "in", ignore_errors=True)
for folder in ["avro", "json", "csv", "log"]:
    (here / "in" / folder).mkdir(parents=True)


def order(n):
    at = pd.Timestamp("2026-05-01T00:00:00Z") + pd.Timedelta(microseconds=n * 1_000_003)
    price = None if rng.random() < 0.1 else decimal.Decimal(rng.randrange(10_000)) / 100
    note = rng.choice([None, "plain", "wïth ünïcode 🐕", "two\nlines", "a \"quote\", and more"])
    return {"id": n, "item": "item-%d" % rng.randrange(20), "kind": rng.choice(["NEW", "OLD"]), "price": price, "at": at, "note": note}


def written(time):
    """As JSON sinks write a time: as many digits of a second as it needs, in threes."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S.%f")
    while text.endswith("000"):
        text = text[:-3]
    return text.rstrip(".") + "Z"


stamp = lambda time: time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
orders = [order(n) for n in range(1200)]
avro, lines, records = orders[:600], orders[600:950], orders[950:]

# Columns that the pipeline does not name stand between those that it does.
SCHEMA = fastavro.parse_schema({"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "int"},
    {"name": "tags", "type": {"type": "array", "items": ["null", "string"]}},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["NEW", "OLD"]}},
    {"name": "item", "type": "string"},
    {"name": "buyer", "type": ["null", {"type": "record", "name": "Buyer", "fields": [
        {"name": "name", "type": "string"}, {"name": "limits", "type": {"type": "map", "values": "double"}}]}]},
    {"name": "price", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}]},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "ref", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "note", "type": ["string", "null"]},
]})


def dressed(row):
    buyer = None if rng.random() < 0.5 else {"name": "b", "limits": {"day": 1.5, "month": rng.random()}}
    tags = [rng.choice([None, "x"]) for _ in range(rng.randrange(3))]
    return {**row, "tags": tags, "buyer": buyer, "ref": "12345678-1234-5678-1234-%012d" % row["id"]}


for codec, rows in zip(["null", "deflate", "snappy", "zstandard"], [avro[at::4] for at in range(4)]):
    with open(here / "in/avro" / (codec + ".avro"), "wb") as file:
        fastavro.writer(file, SCHEMA, [dressed(row) for row in rows], codec=codec, sync_interval=4000)


def as_json(row):
    price = row["price"]
    return json.dumps({**row, "price": None if price is None else float(price), "at": stamp(row["at"])}, ensure_ascii=False) + "\n"


quoted = lambda text: '"%s"' % text.replace('"', '""') if text is not None else ""
as_csv = lambda row: "%d,%s,%s,%s,%s,%s\n" % (row["id"], row["item"], row["kind"], "" if row["price"] is None else row["price"], stamp(row["at"]), quoted(row["note"]))
squeeze = lambda text: gzip.compress(text.encode(), mtime=0)
texts = [as_json(row) for row in lines]
texts.insert(100, "no JSON\n")
half = len(texts) // 2
# Two members of one file, cut in the middle of a line.
whole = "".join(texts[:half])
(here / "in/json/a.jsonl.gz").write_bytes(squeeze(whole[:5001]) + squeeze(whole[5001:]))
(here / "in/json/b.jsonl.zst").write_bytes(zstandard.ZstdCompressor(level=19).compress("".join(texts[half:]).encode()))
header = "id,item,kind,price,at,note\n"
(here / "in/csv/a.csv").write_text(header + "".join(map(as_csv, records[:100])))
(here / "in/csv/b.csv.gz").write_bytes(squeeze(header + "".join(map(as_csv, records[100:]))))
log = ["%s %d" % (rng.choice(["ERROR", "INFO", "", "  ERROR"]), n) for n in range(400)]
(here / "in/log/a.log").write_text("\r\n".join(log[:200]) + "\r\n")
(here / "in/log/b.log.zst").write_bytes(zstandard.ZstdCompressor().compress(("\n".join(log[200:])).encode()))

frame = pd.DataFrame(orders)
dear = frame[frame["price"].notna() & (frame["price"] >= 50)]
rows = [{**row, "price": float(row["price"]), "at": written(row["at"])} for row in dear.to_dict("records")]
rows = [{**row, "note": None if row["note"] is None or pd.isna(row["note"]) else row["note"]} for row in rows]


def write(name, rows):
    (here / "expected").mkdir(exist_ok=True)
    (here / "expected" / (name + ".jsonl")).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


for name in ["dear_avro", "dear_gzip", "dear_zstd"]:
    write(name, rows)
write("errors", [{"line": line} for line in log if line.startswith("ERROR")])
offset = len("".join(texts[:100]).encode())
write("bad", [{"operator": "json", "split": "a.jsonl.gz", "offset": offset, "reason": "not a JSON object", "row": "no JSON"}])
