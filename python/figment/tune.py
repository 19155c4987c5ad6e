"""Searches for better numbers of a recipe: python -m figment.tune recipe.json --data FILE.

Trials are trained by figment train and scored while they train; those that fall behind are stopped (Hyperband, Li et al. 2018).
The search is Optuna's, and is kept in its storage: rerun the command to go on, or start it on several machines with one --storage.
"""

from __future__ import annotations

import argparse
import base64
import copy
import html
import io
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from . import _programs
from .errors import FigmentError, InvalidArgument
from .storage import write_whole

# What is searched of a recipe where nothing else is asked for. A number is searched around the recipe's own value where it has one.
_ADVERSARIAL: Dict[str, Any] = {
    "optimizer.learning_rate": {"low": 3e-5, "high": 3e-3, "log": True},
    "discriminator_optimizer.learning_rate": {"low": 3e-5, "high": 3e-3, "log": True},
    "optimizer.beta1": [0.0, 0.5, 0.9],
    "loss.kind": ["non-saturating", "hinge", "least-squares"],
    "ema": [0, 0.99, 0.999],
    "training.batch": [16, 32, 64, 128],
}
_VAE: Dict[str, Any] = {
    "optimizer.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "optimizer.beta1": [0.5, 0.9],
    "optimizer.weight_decay": [0.0, 0.001, 0.01],
    "training.batch": [16, 32, 64, 128],
}
_OF_LOSSES = {"label_smoothing": ("non-saturating", "least-squares"), "clip_weights": ("wasserstein",)}
SPACES = {"gan": _ADVERSARIAL, "infogan": _ADVERSARIAL, "vae": _VAE}


def get(recipe: Mapping[str, Any], path: str) -> Any:
    """The value at "optimizer.learning_rate", or "generator.layers.0.units"; None if it is not there."""
    value: Any = recipe
    for part in path.split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            return None
    return value


def put(recipe: Dict[str, Any], path: str, new: Any) -> None:
    """Sets it. Raises InvalidArgument where the recipe has no such place."""
    parts = path.split(".")
    value: Any = recipe
    for part in parts[:-1]:
        if isinstance(value, list):
            if not part.isdigit() or int(part) >= len(value):
                raise InvalidArgument(f"the recipe has no {path}: {part} is no element of its list")
            if isinstance(value[int(part)], str):
                value[int(part)] = {"type": value[int(part)]}
            value = value[int(part)]
        elif isinstance(value, dict):
            value = value.setdefault(part, {})
        else:
            raise InvalidArgument(f"the recipe has no {path}")
    if isinstance(value, list):
        raise InvalidArgument(f"{path} is a layer: name one of its numbers, as in {path}.units")
    if not isinstance(value, dict):
        raise InvalidArgument(f"the recipe has no {path}")
    value[parts[-1]] = new


def check_space(space: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """Raises InvalidArgument for a search space that is none."""
    if not space:
        raise InvalidArgument("the search space is empty")
    for path, choice in space.items():
        put(copy.deepcopy(dict(recipe)), path, 0)
        if isinstance(choice, list):
            if not choice:
                raise InvalidArgument(f"{path}: the list of values is empty")
        elif isinstance(choice, Mapping):
            low, high = choice.get("low"), choice.get("high")
            if not isinstance(low, (int, float)) or not isinstance(high, (int, float)) or not low < high:
                raise InvalidArgument(f'{path}: write {{"low": X, "high": Y}}, with X below Y')
            if choice.get("log") and low <= 0:
                raise InvalidArgument(f"{path}: a logarithmic range begins above 0")
            if set(choice) - {"low", "high", "log", "step"}:
                raise InvalidArgument(f"{path}: {sorted(set(choice) - {'low', 'high', 'log', 'step'})[0]!r} is not known")
        else:
            raise InvalidArgument(f'{path}: a list of values, or {{"low": X, "high": Y}}')


def suggest(trial: Any, space: Mapping[str, Any]) -> Dict[str, Any]:
    """The values of a trial."""
    values = {}
    for path, choice in space.items():
        if isinstance(choice, list):
            values[path] = trial.suggest_categorical(path, choice)
        elif isinstance(choice["low"], int) and isinstance(choice["high"], int):
            values[path] = trial.suggest_int(path, choice["low"], choice["high"], log=bool(choice.get("log")), step=choice.get("step", 1))
        else:
            values[path] = trial.suggest_float(path, choice["low"], choice["high"], log=bool(choice.get("log")), step=choice.get("step"))
    return values


def own_values(recipe: Mapping[str, Any], space: Mapping[str, Any]) -> Dict[str, Any]:
    """The recipe's own values, as far as the space holds them: the first trial."""
    values = {}
    for path, choice in space.items():
        value = get(recipe, path)
        if value is None and path.startswith("discriminator_optimizer."):
            value = get(recipe, path[len("discriminator_") :])
        if isinstance(choice, list) and value in choice:
            values[path] = value
        elif isinstance(choice, Mapping) and isinstance(value, (int, float)) and choice["low"] <= value <= choice["high"]:
            values[path] = value
    return values


def seconds_of(text: str) -> float:
    """"90", "90s", "20m", "2h", "1h30m"."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text)
    if not text or match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 90s, 20m, 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


class Search:
    """One search. `train` are arguments of figment train: the data and how it is read."""

    def __init__(self, recipe: Mapping[str, Any], space: Mapping[str, Any], train: Sequence[str], *, steps: Optional[int] = None,
                 scores: int = 12, seed: int = 0, deadline: Optional[float] = None) -> None:
        check_space(space, recipe)
        self.recipe, self.space, self.train, self.scores, self.seed = dict(recipe), dict(space), list(train), scores, seed
        self.deadline = deadline
        self.steps = int(steps or get(recipe, "training.steps") or 1000)
        self.every = max(1, self.steps // scores)

    def recipe_of(self, values: Mapping[str, Any]) -> Dict[str, Any]:
        """The recipe with other values."""
        result = copy.deepcopy(self.recipe)
        for path, value in values.items():
            put(result, path, value)
        # What another loss does not know goes with it.
        loss = result.get("loss", {})
        if "loss.kind" in values:
            for key, kinds in _OF_LOSSES.items():
                if values["loss.kind"] not in kinds:
                    loss.pop(key, None)
        return result

    def __call__(self, trial: Any) -> float:
        """Trains a trial: the least score. Raises optuna.TrialPruned for one that is behind, or that cannot be trained."""
        import optuna

        values = suggest(trial, self.space)
        with tempfile.TemporaryDirectory(prefix="figment-") as folder:
            recipe, model = os.path.join(folder, "recipe.json"), os.path.join(folder, "model.figment")
            pathlib.Path(recipe).write_text(json.dumps(self.recipe_of(values)), encoding="utf-8")
            try:
                _programs.run("figment-convert", [recipe, "-o", model, "--quiet"])
            except FigmentError as error:
                trial.set_user_attr("failure", str(error).replace(recipe, "the recipe"))
                raise optuna.TrialPruned(str(error)) from None
            best = math.inf
            command = [_programs.path_of("figment"), "train", model, *self.train, "--steps", str(self.steps), "--score-every", str(self.every),
                       "--keep-best", os.path.join(folder, "best.figment"), "--out", os.path.join(folder, "out.figment"), "--json"]
            if "--seed" not in self.train:
                command += ["--seed", str(self.seed)]
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                try:
                    assert process.stdout is not None and process.stderr is not None
                    for line in process.stdout:
                        found = json.loads(line)
                        if "score" not in found or "value" not in found.get("score", {}):
                            continue
                        score = found["score"]["value"]
                        if score is None or not math.isfinite(score):
                            trial.set_user_attr("failure", f"the score at step {found['step']} is no number")
                            raise optuna.TrialPruned("diverged")
                        trial.set_user_attr("score", found["score"]["name"])
                        best = min(best, score)
                        trial.report(best, found["step"])
                        # The recipe's own numbers are what the others are compared with.
                        behind = not trial.user_attrs.get("own") and trial.should_prune()
                        if behind or (self.deadline is not None and time.monotonic() > self.deadline):
                            trial.set_user_attr("best", best)
                            raise optuna.TrialPruned(f"stopped at step {found['step']}")
                    said = process.stderr.read()
                    if process.wait() != 0:
                        raise InvalidArgument(re.sub(r"^figment: ", "", said.strip()) or f"figment train ended with status {process.returncode}")
                finally:
                    if process.poll() is None:
                        process.send_signal(signal.SIGKILL)
            if not math.isfinite(best):
                raise InvalidArgument("the model is not scored while it trains: a classifier has no score")
            return best


def read_recipe(path: str) -> Dict[str, Any]:
    """A recipe's JSON, which may have comments. Raises InvalidArgument."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidArgument(f"{path}: {error.strerror}") from None
    # Strings stay as they are; comments go.
    text = re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', lambda match: match[1] or " ", text, flags=re.S)
    try:
        recipe = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"{path}: no JSON: {error}") from None
    if not isinstance(recipe, dict) or "objective" not in recipe:
        raise InvalidArgument(f'{path}: no recipe: it has no "objective"')
    return recipe


def storage_of(text: str) -> Any:
    """Optuna's storage: a journal file, or the URL of a database."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return text if "://" in text else JournalStorage(JournalFileBackend(text))


def page_of(study: Any, search: Search, first: Optional[float]) -> str:
    """A self-contained page of plots: the trials, what matters, and each value's effect."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    import optuna.visualization.matplotlib as plots
    from optuna.importance import PedAnovaImportanceEvaluator
    from optuna.trial import TrialState

    name = next((trial.user_attrs["score"] for trial in study.trials if "score" in trial.user_attrs), "score")
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    pictures: List[Tuple[str, str]] = []

    def add(title: str, draw: Any, width: float = 9) -> None:
        plt.close("all")
        axes = draw()
        figure = plt.gcf()
        figure.set_size_inches(width, 4.5 if width > 5 else 3.6)
        axes.set_title("")
        if axes.get_ylabel() == "Intermediate Value":
            axes.set_ylabel(name)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", bbox_inches="tight")
        pictures.append((title, base64.b64encode(buffer.getvalue()).decode()))

    add("Scores of the trials", lambda: plots.plot_optimization_history(study, target_name=name))
    add("Scores while they train", lambda: plots.plot_intermediate_values(study))
    if len(complete) > 3:
        add("What matters", lambda: plots.plot_param_importances(study, evaluator=PedAnovaImportanceEvaluator()))
    for path in search.space:
        if any(path in trial.params for trial in complete):
            add(path, lambda: plots.plot_slice(study, params=[path], target_name=name), 4.4)
    rows = "".join(
        f"<tr><td>{trial.number}</td><td>{'' if trial.value is None else f'{trial.value:.4g}'}</td><td>{trial.state.name.lower()}</td>"
        f"<td>{html.escape(trial.user_attrs.get('failure', ''))}</td>"
        + "".join(f"<td>{html.escape(_short(trial.params.get(path)))}</td>" for path in search.space) + "</tr>" for trial in study.trials)
    heads = "".join(f"<th>{html.escape(path)}</th>" for path in search.space)
    summary = f"Best {html.escape(name)}: <b>{study.best_value:.4g}</b>" + (f", the recipe's own {first:.4g}" if first is not None else "")
    images = "".join(f'<figure><figcaption>{html.escape(title)}</figcaption><img alt="{html.escape(title)}" '
                     f'src="data:image/svg+xml;base64,{data}"></figure>' for title, data in pictures)
    return f"""<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Tuning {html.escape(str(search.recipe.get('name', 'a recipe')))}</title>
<style>body {{ font: 15px sans-serif; max-width: 60em; margin: 2em auto }} figure {{ display: inline-block; margin: 8px; vertical-align: top }} img {{ max-width: 100% }} table {{ border-collapse: collapse; font-size: 12px }}
td, th {{ border: 1px solid #ccc; padding: 2px 6px; text-align: right }} div {{ overflow-x: auto }}</style>
<h1>Tuning {html.escape(str(search.recipe.get('name', 'a recipe')))}</h1><p>{summary}, in {len(study.trials)} trials of {search.steps} steps.</p>
{images}<h2>Trials</h2><div><table><tr><th>trial</th><th>score</th><th>state</th><th>failure</th>{heads}</tr>{rows}</table></div></html>
"""


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)


def arguments_of(argv: Optional[Sequence[str]]) -> Tuple[argparse.Namespace, List[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m figment.tune", description="Searches for better numbers of a recipe. Options that are not listed are figment "
        "train's: --classifier, --normalize, --threads, --memory-limit.",
        epilog="example: python -m figment.tune recipe.json --data images --trials 40 --budget 20m -o tuned.json")
    parser.add_argument("recipe", help="recipe (.json) to begin with")
    parser.add_argument("--data", action="append", required=True, metavar="[INPUT=]FILE", help="samples, as of figment train; may be repeated")
    parser.add_argument("--trials", type=int, default=40, help="trials in all, those of earlier runs included (default: 40)")
    parser.add_argument("--budget", type=seconds_of, metavar="TIME", help="stop after this time: 90s, 20m, 1h30m")
    parser.add_argument("--steps", type=int, help="steps of a trial (default: the recipe's)")
    parser.add_argument("--scores", type=int, default=12, help="scores while a trial trains, at each of which it may be stopped (default: 12)")
    parser.add_argument("--space", metavar="FILE", help='what to search (.json): {"optimizer.learning_rate": {"low": 1e-4, "high": 1e-2, '
                        '"log": true}, "generator.layers.0.units": [128, 256]} (default: learning rates, momentum, loss, average, batch)')
    parser.add_argument("--storage", help="Optuna's storage, to go on from and to share: a journal file, or a database's URL (default: "
                        "OUTPUT.journal)")
    parser.add_argument("--study", help="name of the study in the storage (default: the recipe's)")
    parser.add_argument("--seed", type=int, default=0, help="of the search, and of each training")
    parser.add_argument("-o", "--output", help="the best recipe (default: RECIPE.tuned.json)")
    parser.add_argument("--report", metavar="FILE", help="page of plots (default: OUTPUT.html)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser.parse_known_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """The command. Returns its status."""
    options, rest = arguments_of(argv)
    try:
        return run(options, rest)
    except FigmentError as error:
        print(f"figment.tune: {error}", file=sys.stderr)
        return 1


def run(options: argparse.Namespace, rest: Sequence[str]) -> int:
    try:
        import optuna
        from optuna.trial import TrialState
    except ImportError:
        raise InvalidArgument("the search needs Optuna: pip install optuna matplotlib") from None
    if options.trials < 1 or options.scores < 1 or (options.steps is not None and options.steps < 1):
        raise InvalidArgument("--trials, --scores and --steps are numbers above 0")
    recipe = read_recipe(options.recipe)
    space = read_space(options.space) if options.space else SPACES.get(recipe["objective"])
    if space is None:
        raise InvalidArgument(f"no score says how good a {recipe['objective']} is while it trains")
    output = options.output or re.sub(r"\.json$", "", options.recipe) + ".tuned.json"
    stem = re.sub(r"\.json$", "", output)
    for path in (output, options.report or stem + ".html"):
        if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise InvalidArgument(f"there is no folder for {path}")
    train = [part for data in options.data for part in ("--data", data)] + list(rest)
    deadline = time.monotonic() + options.budget if options.budget else None
    search = Search(recipe, space, train, steps=options.steps, scores=options.scores, seed=options.seed, deadline=deadline)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name=options.study or str(recipe.get("name", "recipe")), storage=storage_of(options.storage or stem + ".journal"),
        sampler=optuna.samplers.TPESampler(seed=options.seed, multivariate=True),
        pruner=optuna.pruners.HyperbandPruner(min_resource=search.every, max_resource=search.steps, reduction_factor=3),
        load_if_exists=True)
    mark = {"recipe": recipe, "space": space, "steps": search.steps}
    if study.user_attrs.get("search", mark) != json.loads(json.dumps(mark)) and study.trials:
        raise InvalidArgument(f"the study {study.study_name} in {options.storage or stem + '.journal'} searches something else: name "
                              "another --study or --storage")
    study.set_user_attr("search", json.loads(json.dumps(mark)))
    done = [trial for trial in study.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    own = own_values(recipe, space)
    if not study.trials and own:
        study.enqueue_trial(own, user_attrs={"own": True})
    say = None if options.json else progress_of(options.trials, deadline)
    interrupted = False
    try:
        if len(done) < options.trials:
            study.optimize(search, n_trials=options.trials - len(done), timeout=options.budget, callbacks=[say] if say else [])
    except KeyboardInterrupt:
        interrupted = True
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise InvalidArgument("no trial was trained to its end: give more time, or fewer --steps")
    first = next((trial.value for trial in study.trials if trial.user_attrs.get("own") and trial.value is not None), None)
    tuned = search.recipe_of(study.best_params)
    write_whole(output, (json.dumps(tuned, indent=2) + "\n").encode())
    report = options.report or stem + ".html"
    page: Optional[str] = None
    try:
        with warnings.catch_warnings():
            # Optuna's, that its plots may change, and matplotlib's of plots of one value.
            warnings.simplefilter("ignore")
            page = page_of(study, search, first)
    except ImportError:
        print("figment.tune: without matplotlib there is no page of plots: pip install matplotlib", file=sys.stderr)
    if page is not None:
        write_whole(report, page.encode())
    result = {"best": study.best_value, "own": first, "trials": len(study.trials), "params": study.best_params, "output": output,
              "report": report if page is not None else None}
    if options.json:
        print(json.dumps(result))
    else:
        print(f"best {study.best_value:.4g}" + (f", the recipe's own {first:.4g}" if first is not None else "") + f": {output}"
              + (f"; plots: {report}" if page is not None else ""))
        if interrupted or len(study.trials) < options.trials:
            print("rerun the command to go on")
    return 0


def read_space(path: str) -> Dict[str, Any]:
    """A search space's JSON. Raises InvalidArgument."""
    try:
        space = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidArgument(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise InvalidArgument(f"{path}: no JSON: {error}") from None
    if not isinstance(space, dict):
        raise InvalidArgument(f"{path}: an object of paths is needed")
    return space


def progress_of(trials: int, deadline: Optional[float]) -> Any:
    """A line for each trial."""
    start = time.monotonic()

    def say(study: Any, trial: Any) -> None:
        from optuna.trial import TrialState

        complete = [other for other in study.trials if other.state == TrialState.COMPLETE]
        best = f"best {min(other.value for other in complete):.4g}" if complete else "none trained to its end yet"
        what = f"{trial.value:.4g}" if trial.value is not None else trial.user_attrs.get("failure") or "stopped early"
        elapsed = time.monotonic() - start
        left = f", {max(0.0, deadline - time.monotonic()) / 60:.0f} min left" if deadline is not None else ""
        print(f"trial {trial.number + 1}/{trials}  {what}  {best}  {elapsed / 60:.1f} min{left}", flush=True)

    return say


if __name__ == "__main__":
    sys.exit(main())
