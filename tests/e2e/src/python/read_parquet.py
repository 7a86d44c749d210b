"""Reads Parquet files by pyarrow and writes their rows as JSON, an array a file: `read_parquet.py KEPT FILE...`."""
import json
import sys

from packages import use
from told import told

# For CPython 3.11, 3.12 and 3.13 on x86-64 with glibc 2.28 or later.
PINNED = ["pyarrow==22.0.0 \\",
          "  --hash=sha256:35ad0f0378c9359b3f297299c3309778bb03b8612f987399a0333a560b43862d \\",
          "  --hash=sha256:c6c791b09c57ed76a18b03f2631753a4960eefbbca80f846da8baefc6491fcfe \\",
          "  --hash=sha256:e0a15757fccb38c410947df156f9749ae4a3c89b2393741a50521f39a8cf202a"]

use(sys.argv[1], "pyarrow-22.0.0", PINNED, "--only-binary", ":all:")
import pyarrow.parquet  # noqa: E402

for path in sys.argv[2:]:
    rows = pyarrow.parquet.ParquetFile(path).read().to_pylist()
    print(json.dumps([told(row) for row in rows], ensure_ascii=False))
