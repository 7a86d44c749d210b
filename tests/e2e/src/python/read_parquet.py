"""Reads Parquet files by pyarrow and writes their rows as JSON lines, one JSON array of rows a file: `read_parquet.py KEPT FILE...`.

pyarrow 22.0.0 is from PyPI, pinned by the SHA-256 of its wheels, and kept in the folder KEPT; pip is asked for it, so a mirror that is set up
for pip is used.
"""
import datetime
import decimal
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

PINNED = """pyarrow==22.0.0 \\
    --hash=sha256:35ad0f0378c9359b3f297299c3309778bb03b8612f987399a0333a560b43862d \\
    --hash=sha256:c6c791b09c57ed76a18b03f2631753a4960eefbbca80f846da8baefc6491fcfe \\
    --hash=sha256:e0a15757fccb38c410947df156f9749ae4a3c89b2393741a50521f39a8cf202a
"""  # CPython 3.11, 3.12 and 3.13 on x86-64 with glibc 2.28 or later

kept = pathlib.Path(sys.argv[1]) / f"pyarrow-22.0.0-{sys.implementation.cache_tag}"
if not kept.exists():
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        wanted, packages = pathlib.Path(folder) / "wanted.txt", pathlib.Path(folder) / "packages"
        wanted.write_text(PINNED)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile",
               "--require-hashes", "--only-binary", ":all:", "--target", str(packages), "--requirement", str(wanted)]
        subprocess.run(pip, check=True)
        try:
            os.rename(packages, kept)
        except OSError:
            # Another process was quicker.
            if not kept.exists():
                raise
sys.path.insert(0, str(kept))
import pyarrow.parquet  # noqa: E402


def told(value):
    """A value as JSON sinks write it."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case datetime.datetime():
            text = value.strftime("%Y-%m-%dT%H:%M:%S.%f")
            while text.endswith("000"):
                text = text[:-3]
            return text.rstrip(".") + ("Z" if value.tzinfo else "")
        case datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal():
            return float(value)
        case bytes():
            return value.hex()
        case dict():
            return {name: told(field) for name, field in value.items() if field is not None}
        case list():
            return [told(item) for item in value]
        case _:
            return value


for path in sys.argv[2:]:
    rows = pyarrow.parquet.ParquetFile(path).read().to_pylist()
    print(json.dumps([told(row) for row in rows], ensure_ascii=False))
