"""The search for better numbers of a recipe."""

import json
import subprocess

import numpy as np
import pytest

import figment
from conftest import PYTHON, recipe

pytest.importorskip("optuna")
pytest.importorskip("matplotlib")
from figment import _programs, tune  # noqa: E402

SPACE = {"optimizer.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "encoder.layers.0.units": [8, 24, 32]}


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    centers = rng.random((3, 30)) > 0.5
    np.save(tmp_path / "data.npy", np.abs(centers[rng.integers(0, 3, 300)] - 0.05).astype(np.float32))
    given = recipe("tiny_vae")
    given["optimizer"]["learning_rate"] = 1e-4  # far too low
    (tmp_path / "recipe.json").write_text("// with a comment\n" + json.dumps(given))
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    return tmp_path


def arguments(folder, *more):
    return [str(folder / "recipe.json"), "--data", str(folder / "data.npy"), "--space", str(folder / "space.json"), "--steps", "120",
            "--scores", "6", "-o", str(folder / "tuned.json"), *more]


def test_finds_better_numbers_and_goes_on(folder, capsys):
    assert tune.main(arguments(folder, "--trials", "6", "--json")) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["trials"] == 6 and first["best"] < first["own"] - 1
    tuned = json.loads((folder / "tuned.json").read_text())
    assert tuned["optimizer"]["learning_rate"] == first["params"]["optimizer.learning_rate"] > 1e-4
    assert tuned["encoder"]["layers"][0]["units"] in (8, 24, 32)
    assert figment.convert(tuned).trains
    page = (folder / "tuned.html").read_text()
    for part in ("Scores of the trials", "Scores while they train", "optimizer.learning_rate", "encoder.layers.0.units", f"{first['best']:.4g}"):
        assert part in page
    assert page.count("data:image/svg+xml;base64,") >= 4 and "http" not in page.replace("http://www.w3.org", "")
    # The same command goes on where the search ended.
    assert tune.main(arguments(folder, "--trials", "9", "--json")) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["trials"] == 9 and second["best"] <= first["best"] and second["own"] == first["own"]
    # And has nothing to do in the end.
    assert tune.main(arguments(folder, "--trials", "9")) == 0
    out = capsys.readouterr().out
    assert "trial " not in out and out.startswith("best ")
    # Another search in the same place is refused.
    assert tune.main(arguments(folder, "--trials", "12", "--steps", "60")) == 1
    assert "searches something else" in capsys.readouterr().err


def test_a_trial_is_what_figment_train_scores(folder, capsys):
    assert tune.main(arguments(folder, "--trials", "1", "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    figment.convert(str(folder / "recipe.json"), folder / "model.figment")
    lines = _programs.run("figment", ["train", folder / "model.figment", "--data", folder / "data.npy", "--steps", "120", "--score-every",
                                              "20", "--keep-best", folder / "best.figment", "--json", "--seed", "0"]).stdout.splitlines()
    scores = [json.loads(line)["score"]["value"] for line in lines if '"value"' in line and line.startswith('{"step"')]
    assert len(scores) == 6 and found["best"] == min(scores) == found["own"]


def test_several_processes_share_a_search(folder):
    command = [PYTHON, "-m", "figment.tune", *arguments(folder, "--trials", "3", "--storage", str(folder / "shared.journal"), "--json")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    results = [process.communicate() for process in processes]
    assert all(process.returncode == 0 for process in processes), results
    import optuna

    study = optuna.load_study(study_name="tiny_vae", storage=tune.storage_of(str(folder / "shared.journal")))
    assert 3 <= len(study.trials) <= 6 and len({trial.number for trial in study.trials}) == len(study.trials)


def test_a_budget_ends_it(folder, capsys):
    import time

    start = time.monotonic()
    assert tune.main(arguments(folder, "--trials", "100000", "--budget", "4s")) == 0
    assert time.monotonic() - start < 30
    assert "rerun the command to go on" in capsys.readouterr().out


@pytest.mark.parametrize("text, seconds", [("90", 90), ("90s", 90), ("20m", 1200), ("1h30m", 5400), ("2h", 7200)])
def test_times(text, seconds):
    assert tune.seconds_of(text) == seconds


def test_what_another_loss_does_not_know_goes_with_it():
    search = tune.Search({"objective": "gan", "loss": {"kind": "non-saturating", "label_smoothing": 0.1}}, {"loss.kind": ["hinge"]}, [])
    assert search.recipe_of({"loss.kind": "hinge"})["loss"] == {"kind": "hinge"}
    assert search.recipe_of({"loss.kind": "least-squares"})["loss"] == {"kind": "least-squares", "label_smoothing": 0.1}


def test_mistakes(folder, capsys):
    def said(*more, **files):
        for name, text in files.items():
            (folder / f"{name}.json").write_text(text)
        assert tune.main(arguments(folder, "--trials", "2", *more)) == 1
        return capsys.readouterr().err

    assert "logarithmic range begins above 0" in said(space='{"optimizer.learning_rate": {"low": 0, "high": 1, "log": true}}')
    assert "X below Y" in said(space='{"optimizer.learning_rate": {"low": 1, "high": 1}}')
    assert "7 is no element of its list" in said(space='{"encoder.layers.7.units": [1]}')
    assert "name one of its numbers" in said(space='{"encoder.layers.0": [1]}')
    assert "the list of values is empty" in said(space='{"optimizer.learning_rate": []}')
    assert "search space is empty" in said(space="{}")
    assert "no JSON" in said(space="{")
    (folder / "space.json").write_text(json.dumps(SPACE))
    assert tune.main([part.replace("data.npy", "absent.npy") for part in arguments(folder)]) == 1
    assert capsys.readouterr().err.startswith("figment.tune: cannot open")
    assert "no recipe" in said(recipe="{}")
    assert "no folder" in said("--report", "/no/such/folder/page.html", recipe=json.dumps(recipe("tiny_vae")))
    (folder / "recipe.json").write_text(json.dumps(recipe("tiny_classifier")))
    assert tune.main([str(folder / "recipe.json"), "--data", str(folder / "data.npy")]) == 1
    assert "no score says how good a classifier is" in capsys.readouterr().err
    assert tune.main([str(folder / "absent.json"), "--data", "x"]) == 1
    with pytest.raises(SystemExit):
        tune.main([str(folder / "recipe.json"), "--data", "x", "--budget", "soon"])
