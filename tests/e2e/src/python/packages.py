"""Packages from PyPI, pinned by their SHA-256, each set in a folder that outlives the run. pip is asked for them, so a mirror that is set up for
pip is used."""
import os
import pathlib
import subprocess
import sys
import tempfile


def use(kept, name, pinned, *options):
    """Makes the packages of `pinned`, lines of pip's requirements, importable; they are in the folder `name` below `kept`."""
    folder = pathlib.Path(kept) / f"{name}-{sys.implementation.cache_tag}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            wanted, packages = pathlib.Path(place) / "wanted.txt", pathlib.Path(place) / "packages"
            wanted.write_text("\n".join(pinned) + "\n")
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile",
                   "--require-hashes", *options, "--target", str(packages), "--requirement", str(wanted)]
            # What pip says is no output of ours.
            subprocess.run(pip, check=True, stdout=sys.stderr)
            try:
                os.rename(packages, folder)
            except OSError:
                # Another process was quicker.
                if not folder.exists():
                    raise
    sys.path.insert(0, str(folder))
    return folder
