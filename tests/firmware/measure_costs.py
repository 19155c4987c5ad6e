#!/usr/bin/env python3
"""Measures what the kernels cost on each Cortex-M, and writes the tables of `figment inspect --target`,
runtime/cli/target_costs.inc.

Usage: measure_costs.py         (needs numpy, scipy, and ./dev build of x86_64 and of all Cortex-M)

Instructions: tests/firmware/sessions.c counts those of each op in the shipped models and in those of tests/data/recipes; what
`inspect --target --json` calls the work of a kind of ops explains them by least squares, with no negative coefficients.
Code: programs are linked with each op, and with each family of ops but one of them.
"""
import collections
import json
import pathlib
import re
import subprocess

import numpy
from scipy.optimize import nnls

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "build/x86_64/models"
BOARDS = {"cortex_m3": "mps2-an385", "cortex_m4f": "mps2-an386", "cortex_m7": "mps2-an500", "cortex_m33": "mps2-an505",
          "cortex_m55": "mps3-an547"}
COLUMNS, CALL_COLUMNS, COPIED_OUT = 8, 4, 2


def run(*command):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


def firmware(core, mode, model, batch):
    arguments = "".join(f",arg={a}" for a in ("sessions", mode, model, batch))
    return run("qemu-system-arm", "-M", BOARDS[core], "-display", "none", "-monitor", "none", "-serial", "none", "-icount", "shift=0",
               "-kernel", ROOT / f"build/{core}/bin/firmware_sessions", "-chardev", "stdio,id=c", "-semihosting-config",
               f"enable=on,target=native,chardev=c{arguments}")


def measured(core, mode, model, batch):
    """Of each session that ran, (program, op, instructions) in order; and the instructions of all."""
    ops, sessions = [], []
    for line in firmware(core, {"run": "ops", "train": "train-ops"}[mode], model, batch).splitlines():
        words = line.split()
        if line.startswith("# op "):
            ops.append((words[2], int(words[3]), int(words[5])))
        elif line.startswith(("# run instructions", "# step instructions")):
            sessions.append(ops)
            ops = []
    totals = [int(line.split()[-1]) for line in firmware(core, mode, model, batch).splitlines()
              if line.startswith(("# run instructions", "# step instructions"))]
    return list(zip(sessions, totals))


def work(core, mode, model, batch):
    """By program, (kind, amounts) of each op, and of the call at last."""
    report = json.loads(run(ROOT / "build/x86_64/bin/figment", "inspect", model, "--target", core, "--batch", batch, "--json"))
    if mode == "train":
        return report["training"]["work"]
    return {name: ops for program in report["programs"] for name, ops in program["work"].items()}


def equations(core, mode, model, batch):
    """({(kind, column): amount}, instructions) of what has been measured."""
    known = work(core, mode, model, batch)
    for ops, total in measured(core, mode, model, batch):
        done = {}
        rest = collections.Counter()
        for program, op, count in ops:
            amounts = collections.Counter()
            first = program not in done
            for i in range(done.get(program, -1) + 1, op + 1):
                kind, values = known[program][i]
                amounts.update({(kind, c): v for c, v in enumerate(values)})
            if first:
                kind, values = known[program][-1]
                amounts.update({(kind, c): v for c, v in enumerate(values) if c != COPIED_OUT})
                rest[kind, COPIED_OUT] += values[COPIED_OUT]
            done[program] = op
            yield amounts, count
        for program, last in done.items():
            for kind, values in known[program][last + 1 : -1]:
                rest.update({(kind, c): v for c, v in enumerate(values)})
        yield rest, max(total - sum(count for _, _, count in ops), 0)


def models(scratch):
    shipped = [ROOT / f"models/{m}/{m}_int8.figment" for m in ("gan", "crgan", "lstm_crgan", "cdcgan")]
    for model in [*shipped, *(MODELS / f"{m}.figment" for m in ("dgan_int8", "conv_vae_int8", "dcgan_int8", "conv_vae", "dgan", "dcgan"))]:
        yield "run", model, 1
    yield "run", shipped[0], 3
    convert = ROOT / "build/x86_64/bin/figment-convert"
    examples = ROOT / "firmware_examples"
    run(convert, examples / "cortex_m_fine_tune/recipe.json", "--start-from", examples / "cortex_m_fine_tune/clothes.figment", "--freeze",
        "generator.0.weight", "-o", scratch / "clothes.figment", "-q")
    run(convert, examples / "cortex_m_anomaly/recipe.json", "-o", scratch / "vibration.figment", "-q")
    for channels, kernel, side in ((16, 3, 7), (6, 5, 7), (8, 3, 14), (32, 3, 4), (5, 4, 9), (24, 5, 5)):
        depthwise = {"type": "conv", "channels": channels, "kernel": kernel, "padding": (kernel - 1) // 2, "groups": channels}
        grown = {"type": "conv_transpose", "channels": channels, "kernel": 4, "stride": 2, "padding": 1, "groups": channels}
        # An even kernel takes a row and a column.
        less = 1 - kernel % 2
        shape = [2 * (side - less) - less] * 2
        network = {"name": "depthwise", "objective": "gan", "latent": {"size": 8}, "sample": {"shape": [channels, *shape]},
                   "generator": {"layers": [{"type": "linear", "units": side * side * channels},
                                            {"type": "reshape", "shape": [channels, side, side]},
                                            depthwise, "relu", grown, "relu", depthwise, "tanh"]},
                   "discriminator": {"layers": [depthwise, "relu", "flatten", {"type": "linear", "units": 1}]}}
        path = scratch / f"depthwise{channels}.json"
        path.write_text(json.dumps(network))
        run(convert, path, "-o", path.with_suffix(".figment"), "-q")
        run(convert, path.with_suffix(".figment"), "--int8", "-o", scratch / f"depthwise{channels}_int8.figment", "-q")
        yield "run", path.with_suffix(".figment"), 1
        yield "run", scratch / f"depthwise{channels}_int8.figment", 1
    recipe = json.loads((examples / "cortex_m_anomaly/recipe.json").read_text())
    recipe["optimizer"] = {"kind": "sgd", "beta1": 0}
    (scratch / "sgd.json").write_text(json.dumps(recipe))
    run(convert, scratch / "sgd.json", "-o", scratch / "sgd.figment", "-q")
    for model in (scratch / "clothes.figment", scratch / "vibration.figment", scratch / "sgd.figment",
                  *(MODELS / f"tiny_{m}.figment" for m in ("vae", "dcgan", "crgan", "infogan", "classifier"))):
        yield "train", model, 4
        yield "train", model, 8


def instructions(core, scratch):
    """By kind of op, and for the call, the instructions for each column."""
    found = [e for mode, model, batch in models(scratch) for e in equations(core, mode, model, batch)]
    keys = sorted({key for amounts, _ in found for key in amounts})
    place = {key: i for i, key in enumerate(keys)}
    left, right = numpy.zeros((len(found), len(keys))), numpy.zeros(len(found))
    for i, (amounts, count) in enumerate(found):
        weight = max(count, 200.0) ** -0.75
        right[i] = count * weight
        for key, amount in amounts.items():
            left[i, place[key]] = amount * weight
    scale = numpy.linalg.norm(left, axis=0)
    scale[scale == 0] = 1
    solution = nnls(left / scale, right, maxiter=100000)[0] / scale
    table = collections.defaultdict(lambda: [0.0] * COLUMNS)
    for (kind, column), value in zip(keys, solution):
        table[kind][column] = value
    return table


def link(core, ops, trains, scratch):
    names = "".join(f"&fig_op_{op}, " for op in ops)
    source = scratch / "size.c"
    source.write_text(f"""#include <figment/figment.h>
#include <figment/ops.h>
const fig_op* const fig_ops[] = {{{names}NULL}};
const fig_planner* const fig_use_planner = NULL;
{"" if trains else "const fig_training* const fig_use_training = NULL;"}
static unsigned char arena[4096] __attribute__((aligned(64)));
extern const unsigned char data[];
const unsigned char data[4] = {{1}};
int main(void) {{
  fig_model* model;
  fig_session* session;
  static float values[4];
  fig_session_options options = {{sizeof options}};
  if (fig_model_init(data, 4, arena, 128, &model) || fig_session_init(model, &options, arena, 64, &session)) return 1;
  fig_generate(session, 1, NULL, values, 4);
  {"static fig_metrics metrics; fig_batch batch = {sizeof batch}; fig_train_step(session, &batch, &metrics);" if trains else ""}
  return 0;
}}
""")
    build = ROOT / f"build/{core}"
    program = scratch / "size.elf"
    run("arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m7", "-mfpu=fpv5-d16", "-mfloat-abi=hard", "-Os", "-flto", "-ffunction-sections",
        "-fdata-sections", f"-I{ROOT}/runtime/include", f"-I{build}/runtime/include", source, "-nostartfiles",
        f"-L{ROOT}/firmware_examples/boards", f"-T{ROOT}/firmware_examples/boards/{core}.ld", "-Wl,--gc-sections",
        build / "lib/libfigment.a", next(build.rglob("libfigment_board.a")), "-o", program)
    text, data = run("arm-none-eabi-size", program).splitlines()[1].split()[:2]
    return int(text) + int(data)


def code(scratch):
    core = "cortex_m7"
    rows = re.findall(r"FIGMENT_OP\(\d+, \w+, (\w+), \w+, [^,]+, (\w+), \w+, \w+, ([\w:<> ]+),",
                      (ROOT / "runtime/include/figment/ops.def").read_text())
    shared = {"conv2d": "convolve", "conv_transpose2d": "convolve", "sum": "reduce", "mean": "reduce"}
    families = collections.defaultdict(list)
    for name, rule, function in rows:
        family = "unary" if function.startswith("unary<") else "update" if rule == "update" else shared.get(function, function)
        families[family].append(name)
    base, training = link(core, [], False, scratch), link(core, [], True, scratch)
    result = []
    for family, members in families.items():
        whole = link(core, members, False, scratch) - base
        own = [whole - (link(core, [m for m in members if m != name], False, scratch) - base) if len(members) > 1 else whole
               for name in members]
        rest = max(whole - sum(own), 0) if len(members) > 1 else 0
        result += [(name, family, max(bytes, 0), rest) for name, bytes in zip(members, own)]
    return base, training - base, result


def number(value):
    return "0" if value < 1e-3 else f"{value:.4g}"


def main():
    scratch = ROOT / "build/costs"
    scratch.mkdir(parents=True, exist_ok=True)
    lines = ["// Written by tests/firmware/measure_costs.py, which says how it is measured. Libraries at -Os with -flto.",
             "// clang-format off", ""]
    for core in BOARDS:
        table = instructions(core, scratch)
        call = table.pop("call")[:CALL_COLUMNS]
        lines.append(f"constexpr OpCost k_{core}[] = {{")
        for key in sorted(table):
            kind, type = key.split("/")
            lines.append(f'    {{"{kind}", {"true" if type == "i8" else "false"}, {{{", ".join(map(number, table[key]))}}}}},')
        lines += ["};", f"constexpr CallCost k_{core}_call = {{{{{', '.join(map(number, call))}}}}};", ""]
    base, training, ops = code(scratch)
    lines += [f"constexpr uint32_t kInferenceCode = {base};", f"constexpr uint32_t kTrainingCode = {training};",
              "// Kind, what it shares its code with, bytes of its own, and shared ones.", "constexpr OpCode kOpCode[] = {"]
    lines += [f'    {{"{name}", "{family}", {own}, {rest}}},' for name, family, own, rest in ops] + ["};", ""]
    (ROOT / "runtime/cli/target_costs.inc").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
