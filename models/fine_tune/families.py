#!/usr/bin/env python3
"""Trains the model of each family on with few samples of another kind, with the command line of the device, and prints a
table of its score before and after.

Usage: families.py [LAUNCHER BIN [FAMILY...]]
       (needs numpy; e.g. "qemu-aarch64 -cpu cortex-a72 -L SYSROOT" build/aarch64/bin for another target)

The image models meet 200 images of Fashion-MNIST as water reflects them, the top below, and are scored by the test images
reflected; the CRGAN of waves meets Seattle's highest temperatures, thirty days at a time, and is scored by the half of them that
it has not seen. Models come from models/FAMILY or, where they are too large to be shipped in f32, from build/families (made by
models/train_families.sh FAMILY).
"""
import gzip
import json
import pathlib

import numpy as np

from device import ARGUMENTS, DEVICE, HOST, ROOT, figment, run

WORK = ROOT / "build/fine_tune/families" / DEVICE.parent.name
FAMILIES = ["gan", "vae", "crgan", "infogan", "dgan", "deep_infogan"]
SAMPLES, STEPS, BATCH, DAYS = 200, 300, 16, 30


def reflected(path, count=None):
    """Images of an IDX file, the last row first."""
    content = gzip.decompress(path.read_bytes())
    images = np.frombuffer(content, np.uint8, offset=16).reshape(-1, 1, 28, 28)[:count, :, ::-1]
    result = WORK / path.name.removesuffix(".gz")
    header = np.frombuffer(content, ">i4", count=4).copy()
    header[1] = len(images)
    result.write_bytes(header.tobytes() + images.tobytes())
    return result


def temperatures():
    """Windows of days, scaled to -0.9 to 0.9 as the waves are: of the first two years, and of the last two."""
    degrees = np.loadtxt(ROOT / "models/weather/seattle.csv", delimiter=",", skiprows=1, usecols=1, dtype=np.float32)
    scaled = 1.8 * (degrees - degrees.min()) / (degrees.max() - degrees.min()) - 0.9
    windows = np.lib.stride_tricks.sliding_window_view(scaled, DAYS)[..., None]
    half = len(scaled) // 2
    for name, part in (("seen", windows[: half - DAYS + 1]), ("unseen", windows[half:])):
        np.save(WORK / f"{name}.npy", part)
        yield WORK / f"{name}.npy"


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    images = pathlib.Path(run(ROOT / "dev", "data", "fashion-mnist").strip())
    run(HOST / "figment-convert", ROOT / "models/classifier/classifier.onnx", "-o", WORK / "classifier.figment", "-q")
    reflections = (reflected(images / "train-images-idx3-ubyte.gz", SAMPLES), reflected(images / "t10k-images-idx3-ubyte.gz"))
    weather = tuple(temperatures())

    print("| family | parameters | MB | score | before | after |\n|---|---|---|---|---|---|")
    for name in ARGUMENTS or FAMILIES:
        seen, unseen = weather if name == "crgan" else reflections
        judge = [] if name == "crgan" else ["--classifier", WORK / "classifier.figment"]
        metrics = ["elbo", "frechet_distance"] if name == "vae" else ["frechet_distance"]
        base = ROOT / "models" / name / f"{name}.figment"
        if not base.exists():
            base = ROOT / "build/families" / name / f"{name}.figment"
        recipe = json.loads((ROOT / "models" / name / "recipe.json").read_text())
        if "ema" in recipe:  # the average that generates must follow within the run
            recipe["ema"] = 0.99
        (WORK / f"{name}.json").write_text(json.dumps(recipe))
        model, tuned = WORK / f"{name}.figment", WORK / f"tuned_{name}.figment"
        run(HOST / "figment-convert", WORK / f"{name}.json", "--start-from", base, "-o", model, "-q")
        plan = json.loads(figment("inspect", model, "--batch", BATCH, "--json"))
        memory = plan["memory"]["total"]
        figment("train", model, "--data", seen, "--steps", STEPS, "--batch", BATCH, "--seed", 1, "--memory-limit", memory,
                "--out", tuned)

        def scores(path):
            found = json.loads(run(HOST / "figment", "evaluate", path, "--data", unseen, *judge, "--seeds", 1, "--json"))["scores"]
            return [found[metric]["mean"] for metric in metrics]

        for metric, before, after in zip(metrics, scores(base), scores(tuned)):
            print(f"| {name} | {plan['parameters']} | {memory / 1e6:.1f} | {metric} | {before:.4g} | {after:.4g} |", flush=True)


if __name__ == "__main__":
    main()
