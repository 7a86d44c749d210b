"""Reads the Avro files below the folder OUT by fastavro, and writes them as JSON lines instead: `decode.py OUT KEPT`.

fastavro 1.13.1 is from PyPI, pinned by its SHA-256, and kept in the folder KEPT; pip is asked for it, so a mirror that is set up for pip is used.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

PINNED = "fastavro==1.13.1 --hash=sha256:950f2e260f65c7e6135288c142b078d06d2f1c90fc52f91a14c08e5f8811bf06\n"
WHEEL = "fastavro-1.13.1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl"

out, kept = map(pathlib.Path, sys.argv[1:])
wheel = kept / WHEEL
if not wheel.exists():
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept) as folder:
        wanted = pathlib.Path(folder) / "wanted.txt"
        wanted.write_text(PINNED)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
               "--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311",
               "--platform", "manylinux2014_x86_64", "--dest", folder, "--requirement", str(wanted)]
        subprocess.run(pip, check=True)
        os.replace(pathlib.Path(folder) / WHEEL, wheel)
# Straight from the wheel, which is a zip: Python does not load compiled modules from there, so the ones in pure Python are used.
sys.path.insert(0, str(wheel))
import fastavro  # noqa: E402


def written(time):
    """As JSON sinks write a time: as many digits of a second as it needs, in threes."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S.%f")
    while text.endswith("000"):
        text = text[:-3]
    return text.rstrip(".") + "Z"


for path in sorted(out.rglob("*.avro")):
    with open(path, "rb") as file:
        rows = [{**row, "price": float(row["price"]), "at": written(row["at"])} for row in fastavro.reader(file)]
    path.with_suffix(".avro.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    path.unlink()
