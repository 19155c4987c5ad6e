#!/usr/bin/env python3
"""Adapts an anomaly detector to a drifted signal, with the command line of the device.

Usage: anomaly.py [LAUNCHER BIN]
       (needs numpy; e.g. "qemu-aarch64 -cpu cortex-a72 -L SYSROOT" build/aarch64/bin for another target)

The recurrent VAE of models/recurrent_vae learns four weeks of Seattle's weather at a time from 2012 and 2013. From 2014 on the
sensors drift: temperatures read 6 degrees too high, winds half as strong again; the detector is then trained on, within a
limit of memory, on 2014 as the drifted sensors report it. A window is an alarm if the detector rebuilds one of its four
signals worse than all but 5 % of the normal windows that begin in every other four weeks of 2015. What is counted, in the
four weeks between: alarms on normal windows, and on windows with a fault of a thermometer (minimum and maximum exchanged
for five days, a spike of a day, or three days at -20 degrees). Whatever the threshold, the area under the ROC curve says how
often a window with a fault scores above a normal one (Fawcett, An introduction to ROC analysis, 2006, section 7).
"""
import numpy as np

from device import HOST, ROOT, figment, run

WORK = ROOT / "build/fine_tune"
DAYS, FEATURES, STEPS, MORE = 28, 4, 4000, 1000
DRIFT, TEST = 731, 1096  # the first days of 2014 and 2015


def save(name, windows):
    np.save(WORK / f"{name}.npy", windows.astype(np.float32))
    return WORK / f"{name}.npy"


def windows_of(rows):
    return np.stack([rows[i : i + DAYS] for i in range(len(rows) - DAYS + 1)])


def split(rows):
    """Windows that begin in the even and in the odd four weeks."""
    windows = windows_of(rows)
    odd = np.arange(len(windows)) // DAYS % 2 == 1
    return windows[~odd], windows[odd]


def errors(model, windows):
    """The rms error with which the model rebuilds each signal of each window."""
    figment("project", model, "--data", save("windows", windows), "-n", len(windows), "-o", WORK / "rebuilt.csv")
    values = np.loadtxt(WORK / "rebuilt.csv", delimiter=",", skiprows=1)[:, -FEATURES:]
    pairs = values.reshape(len(windows), 2, DAYS, FEATURES)
    return np.sqrt(np.mean((pairs[:, 0] - pairs[:, 1]) ** 2, axis=1))


class Detector:
    """Scores a window by its worst signal's error, in deviations of that signal's errors on `known` windows, and gives an
    alarm where the score is beyond 95 % of theirs."""

    def __init__(self, model, known):
        found = errors(model, known)
        self.mean, self.deviation = found.mean(0), found.std(0)
        self.threshold = np.quantile(self.scores_of(found), 0.95)

    def scores_of(self, found):
        return ((found - self.mean) / self.deviation).max(1)

    def scores(self, model, windows):
        return self.scores_of(errors(model, windows))


def with_faults(windows, random, degree, lowest):
    """A fault of a thermometer in each window; `degree` is a degree in the windows' units, `lowest` -20 of them."""
    result = windows.copy()
    for window in result:
        kind, day = random.integers(3), random.integers(DAYS - 5)
        if kind == 0:
            window[day : day + 5, [1, 2]] = window[day : day + 5, [2, 1]]
        elif kind == 1:
            window[day, 1] += 15 * degree[1]
        else:
            window[day : day + 3, 2] = lowest[2]
    return result


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    rows = np.loadtxt(ROOT / "models/weather/seattle.csv", delimiter=",", skiprows=1)
    low, high = rows[:DRIFT].min(0), rows[:DRIFT].max(0)
    scale = lambda values: 2 * (values - low) / (high - low) - 1
    degree = 2 / (high - low)
    drifted = rows.copy()
    drifted[:, 1:3] += 6
    drifted[:, 3] *= 1.5
    normal, adapting = windows_of(scale(rows[:DRIFT])), windows_of(scale(drifted[DRIFT:TEST]))
    before_known, before = split(scale(rows[TEST:]))
    after_known, after = split(scale(drifted[TEST:]))

    untrained, trained, adapted = (WORK / f"{name}.figment" for name in ("untrained", "detector", "adapted"))
    run(HOST / "figment-convert", ROOT / "models/recurrent_vae/recipe.json", "-o", untrained, "-q")
    run(HOST / "figment", "train", untrained, "--data", save("normal", normal), "--steps", STEPS, "--seed", 1, "--out", trained)
    figment("train", trained, "--data", save("adapting", adapting), "--steps", MORE, "--seed", 1, "--batch", 16,
            "--memory-limit", "5M", "--out", adapted)

    print("| detector | signal | alarms on normal windows | faults found | area under ROC |")
    print("|---|---|---|---|---|")
    for known_by, model, name, signal, known, windows in (
            (trained, trained, "trained on 2012 and 2013", "as before", before_known, before),
            (trained, trained, "trained on 2012 and 2013", "drifted", before_known, after),
            (trained, adapted, "adapted", "drifted", before_known, after),
            (trained, trained, "not adapted, calibrated again", "drifted", after_known, after),
            (adapted, adapted, "adapted, calibrated again", "drifted", after_known, after)):
        detector = Detector(known_by, known)
        faults = with_faults(windows, np.random.default_rng(1), degree, scale(np.full(FEATURES, -20.0)))
        good, faulty = detector.scores(model, windows), detector.scores(model, faults)
        area = (faulty[:, None] > good[None, :]).mean()
        rates = " | ".join(f"{(scores > detector.threshold).mean():.0%}" for scores in (good, faulty))
        print(f"| {name} | {signal} | {rates} | {area:.2f} |")


if __name__ == "__main__":
    main()
