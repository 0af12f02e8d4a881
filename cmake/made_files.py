"""The files under .deps/ that set-up makes from downloaded ones."""

import os
import sys

from setup_steps import (BUILD, DEPS, ROOT, TMP, SetupError, Stamp, fresh_folder, key_of, last_lines,
                         put_in_place, run, say)

# name: (message, script, inputs, folder of the results). The script gets the inputs and an empty
# folder, and leaves there what belongs in the folder of the results.
STEPS = {
    "efficientnet-lite0": ("converting EfficientNet-Lite0", "convert_efficientnet.py",
                           ["models/efficientnet-lite0/efficientnet-lite0.pth"],
                           "models/efficientnet-lite0"),
    "sample": ("making the sample clip", "make_sample.py", ["samples/bikes.mp4"], "samples"),
}


def make_files(entries):
    """`entries` are the [[pypi]] entries: what is made follows them and the script's own text."""
    for name, (message, script, inputs, results) in STEPS.items():
        script = ROOT / "cmake" / script
        sources = [entry["sha256"] for entry in entries
                   if not set(inputs).isdisjoint(entry["unpack"].values())]
        key = key_of(script, sources)
        stamp = Stamp(f"made-{name}")
        if stamp.fresh(key):
            continue
        say(message)
        made = fresh_folder(TMP / "made")
        log = BUILD / f"{name}.log"
        # espeak-ng and FFmpeg leave settings and caches of sound servers and fonts in these folders.
        home = str(fresh_folder(TMP / "home"))
        status = run([sys.executable, "-B", script, *(DEPS / file for file in inputs), made], log,
                     env={**os.environ, "HOME": home, "XDG_RUNTIME_DIR": home, "TMPDIR": home})
        if status != 0:
            raise SetupError(f"{message} failed\n{last_lines(log, 12)}\n  log: {log}")
        files = sorted(path.name for path in made.iterdir())
        for file in files:
            put_in_place(made / file, DEPS / results / file)
        stamp.write(key, [f"{results}/{file}" for file in files])
