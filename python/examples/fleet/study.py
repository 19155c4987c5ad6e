"""What a fleet's model is worth beside one device alone, and beside all data in one place: a table.

usage: study.py BASE DATA CLASSIFIER WORK [ROUNDS]; fleets are those of fleet.py, whose models are taken from WORK if they are there.
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np

import fleet
import figment


def row(name, found):
    made = np.array(found["classes"])
    print(f"| {name} | {found['distance']:.1f} | {found['recall']:.2f} | {made.mean() * 100:.0f} % | {made.min() * 100:.0f} % | {made[8:].mean() * 100:.0f} % |",
          flush=True)


def main(base, data, classifier, work, rounds="40"):
    for name, value in (("BASE", base), ("DATA", data), ("CLASSIFIER", classifier)):
        os.environ[f"FLEET_{name}"] = str(pathlib.Path(value).resolve())
    work = pathlib.Path(work)
    work.mkdir(parents=True, exist_ok=True)
    steps = int(rounds) * fleet.STEPS
    print("| trained | Fréchet distance | recall | classes made | worst class | new classes (8, 9) |\n|---|---|---|---|---|---|")
    row("(before)", fleet.score(figment.Model(base)))
    alone = []
    for device in (0, 4, 8):
        run = fleet.base().train(fleet.data_of_device(device), steps=steps, batch=fleet.BATCH, seed=1)
        alone.append(fleet.score(run.model))
        row(f"one device alone, of the classes {device} and {device + 1}", alone[-1])
    together = [fleet.data_of_device(device) for device in range(fleet.DEVICES)]
    data_of_all = {name: np.concatenate([part[name] for part in together]) for name in together[0]}
    run = fleet.base().train(data_of_all, steps=steps, batch=fleet.BATCH, seed=1)
    row("all data in one place", fleet.score(run.model))
    for strategy in ("FedAvg", "FedProx", "FedAdam"):
        path = work / f"{strategy}.figment"
        if not path.exists():
            log = subprocess.run([sys.executable, pathlib.Path(__file__).parent / "fleet.py", base, data, classifier, "--rounds", rounds,
                                  "--strategy", strategy, "-o", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            (work / f"{strategy}.log").write_text(log.stdout + log.stderr)
            if log.returncode:
                sys.exit(f"{strategy} failed: {work / strategy}.log")
        row(f"the fleet, {strategy}", fleet.score(figment.Model(path)))


if __name__ == "__main__":
    main(*sys.argv[1:])
