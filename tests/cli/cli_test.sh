#!/bin/sh
# The programs as a user types them. Usage: cli_test.sh LAUNCHER BIN MODELS [CONVERT ONNX]; LAUNCHER is an emulator or "".
set -u
launcher=$1 bin=$2 models=$3 convert=${4:-} onnx=${5:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# check NAME EXPECTED-STATUS PATTERN COMMAND...: runs it; its status and its output (both streams) must match.
check() {
  name=$1 status=$2 pattern=$3
  shift 3
  "$@" > "$work/out" 2>&1
  actual=$?
  if [ "$actual" = "$status" ] && { [ -z "$pattern" ] || grep -q -e "$pattern" "$work/out"; }; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED $name: status $actual (expected $status), expected \"$pattern\" in:"
    cat "$work/out"
  fi
}
expect() {
  if eval "$2"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $1"; fi
}
figment="$launcher $bin/figment"
# Beside a model that is trained without --out lies what it has become.
cp "$models"/tiny_*.figment "$work"
# in_terminal COMMAND: what a terminal of 80 columns shows of it.
in_terminal() {
  script -qec "stty cols 80; $1" /dev/null 2>&1 | tr '\r' '\n'
}

check "version" 0 "^figment [0-9]*\.[0-9]*\.[0-9]*$" $figment --version
check "with its kernels" 0 "^kernels: \(XNNPACK [0-9.]*, [A-Z]\|portable\)" $figment --version
check "help without a command" 0 "^  generate  *[A-Z]" $figment
check "a command that is nearly one" 106 "did you mean generate" $figment generat
check "help with examples" 0 "^  figment train model.figment --data images" $figment train --help
expect "help fits a terminal" '! { for c in generate run train evaluate score project inspect parameters compare bench; do $figment $c --help; done; } | grep -q "^.\{81\}"'
check "generate" 0 "" $figment generate "$models/dcgan_int8.figment" --seed 7 -n 4 -o "$work/a.png" -o "$work/a.npy"
expect "a PNG is written" '[ "$(head -c 4 "$work/a.png" | tail -c 3)" = PNG ]'
check "generate in batches" 0 "" $figment generate "$models/dcgan_int8.figment" --seed 7 -n 4 --batch 3 -o "$work/b.npy"
expect "the batch does not matter in int8" 'cmp -s "$work/a.npy" "$work/b.npy"'
check "an option that is no number" 105 "truncation: give a finite number, not nan" $figment generate "$models/dcgan.figment" -n 1 --truncation nan -o "$work/c.npy"
check "inspect" 0 "conv_transpose2d" $figment inspect "$models/dcgan.figment"
check "inspect in a limit" 1 "the largest tensor is that of" $figment inspect "$models/dcgan.figment" --memory-limit 2M
check "allow large files, behind the command" 0 "conv_transpose2d" $figment inspect "$models/dcgan.figment" --allow-large
check "and before it" 0 "conv_transpose2d" $figment --allow-large inspect "$models/dcgan.figment"
check "inspect --json" 0 '"kind": "conv_transpose2d"' $figment inspect "$models/dcgan.figment" --json
check "bench --json" 0 '"median_us"' $figment bench "$models/dgan_int8.figment" --batch 1,2 --threads 1,2 --seconds 0.01 --json
check "no such model" 1 "cannot open /no/such" $figment inspect /no/such
check "a folder" 1 "directory" $figment inspect "$work"
printf 'hello' > "$work/broken"
check "not a model" 1 "not a Figment model" $figment inspect "$work/broken"
head -c 5000 "$models/dcgan.figment" > "$work/short.figment"
check "a truncated model" 1 "truncated" $figment inspect "$work/short.figment"
check "zero samples" 105 "" $figment generate "$models/dcgan.figment" -n 0 -o "$work/c.npy"
check "a memory limit too small" 1 "needs \(at least \)\?[0-9]* bytes" $figment generate "$models/dcgan.figment" -n 1 --memory-limit 1M -o "$work/c.npy"
check "a memory limit that is none" 1 "is no size" $figment generate "$models/dcgan.figment" -n 1 --memory-limit lots -o "$work/c.npy"
check "an unwritable output" 1 "cannot write" $figment generate "$models/dcgan.figment" -n 1 -o /no/such/place.npy
check "an output of no kind" 1 "png, .svg, .csv or .npy" $figment generate "$models/dcgan.figment" -n 1 -o "$work/c.jpg"
expect "nothing is left behind" '[ ! -e "$work/c.npy" ] && [ ! -e "$work/c.jpg" ]'
check "a plot of images" 1 "does not generate sequences" $figment generate "$models/dcgan.figment" -n 1 -o "$work/c.svg"
check "a picture of sequences" 1 "write .svg" $figment generate "$models/tiny_crgan.figment" -n 1 -o "$work/c.png"
check "sequences" 0 "" $figment generate "$models/tiny_crgan.figment" -n 3 -o "$work/s.svg" -o "$work/s.csv" -o "$work/s.npy"
expect "plots and a table" 'grep -q "</svg>" "$work/s.svg" && head -1 "$work/s.csv" | grep -q "^sample,step,v0"'
info=$models/tiny_infogan.figment
check "a sweep" 0 "" $figment generate "$info" --sweep category -n 3 -o "$work/sweep.csv"
expect "has a row for each value" '[ "$(wc -l < "$work/sweep.csv")" = 13 ]'
check "a class" 0 "" $figment generate "$info" --class 1 -n 3 -o "$work/class.csv"
expect "a class is a row of the sweep" '[ "$(cut -d, -f2- "$work/class.csv" | tail -3)" = "$(cut -d, -f2- "$work/sweep.csv" | sed -n 5,7p)" ]'
check "a code by number" 0 "" $figment generate "$info" --code 0=1 -n 3 -o "$work/code.csv"
expect "is the class" 'cmp -s "$work/code.csv" "$work/class.csv"'
check "a code that is not there" 1 "the codes are 0=category" $figment generate "$info" --code color=1 -n 3 -o "$work/x.csv"
check "a class that is not there" 1 "has the values 0 to" $figment generate "$info" --class 99 -n 3 -o "$work/x.csv"
check "a sweep of a component" 0 "" $figment generate "$info" --sweep style:0 --sweep-steps 3 --sweep-range -1 1 -n 2 -o "$work/x.csv"
check "a command that is not there" 106 "there is no command rnu: did you mean run?" $figment rnu
check "an option that is not there" 109 "there is no option --inptu: did you mean --input?" $figment run "$models/dcgan.figment" --inptu x
check "a class by its name" 0 "" $figment generate "$info" --class category=1 -n 3 -o "$work/named.csv"
expect "is the class" 'cmp -s "$work/named.csv" "$work/class.csv"'
check "a class of another name" 1 "no classes of the name kind" $figment generate "$info" --class kind=1 -o "$work/x.csv"
check "a class that is swept, too" 1 "do not go together" $figment generate "$info" --class 1 --sweep class -o "$work/x.csv"
check "a sweep of a condition" 0 "" $figment generate "$models/tiny_gan.figment" --sweep label -n 2 -o "$work/x.csv"
check "classes where there are none" 1 "has no classes" $figment generate "$models/dcgan.figment" --class 1 -o "$work/x.png"
check "an interpolation" 0 "" $figment generate "$models/tiny_vae.figment" --interpolate 3 5 -n 4 -o "$work/between.csv"
$figment generate "$models/tiny_vae.figment" --first 3 -n 3 -o "$work/ends.csv"
expect "goes from one latent to the other" '[ "$(sed -n "2p;5p" "$work/between.csv" | cut -d, -f2-)" = "$(sed -n "2p;4p" "$work/ends.csv" | cut -d, -f2-)" ]'
check "truncation" 0 "" $figment generate "$models/tiny_vae.figment" --truncation 1e-9 -n 3 -o "$work/x.csv"
expect "of nearly all leaves one sample" '[ "$(tail -3 "$work/x.csv" | cut -d, -f2- | sort -u | wc -l)" = 1 ] && [ "$(tail -3 "$work/between.csv" | cut -d, -f2- | sort -u | wc -l)" = 3 ]'
check "a class as condition" 0 "" $figment generate "$models/tiny_gan.figment" --class 1 -n 3 -o "$work/x.csv"
check "a missing condition" 1 "condition label is missing" $figment generate "$models/tiny_gan.figment" -o "$work/x.csv"
$figment generate "$info" -n 3 -o "$work/made_of_info.npy"
check "run without outputs to keep" 0 "category  \[3, 4\]  " $figment run "$info" --program discriminate --input "$work/made_of_info.npy"
check "run with a wrong shape" 1 "expected \[N, 100, 1, 1\]" $figment run "$models/dcgan.figment" --input latent="$work/a.npy" --output "$work/y.npy"
printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 100, 1, 1), }" > "$work/empty.npy"
check "run on no samples" 1 "holds no samples" $figment run "$models/dcgan.figment" --input latent="$work/empty.npy" --output "$work/y.npy"
check "no steps" 105 "leave it out for the recipe's" $figment train "$work/tiny_vae.figment" --data "$work/a.npy" --steps 0
check "run with a wrong name" 1 "it has latent" $figment run "$models/dcgan.figment" --input noise="$work/a.npy" --output "$work/y.npy"
check "run without input" 1 "latent" $figment run "$models/dcgan.figment" --output "$work/y.npy"
check "an unknown program" 1 "no program paint" $figment run "$models/dcgan.figment" --program paint --output "$work/y.npy"
check "a broken array" 1 "not a .npy" $figment run "$models/dcgan.figment" --input latent="$work/broken" --output "$work/y.npy"

for kind in static shared; do
  check "linux_generate ($kind)" 0 "" $launcher "$bin/linux_generate_$kind" "$models/dcgan_int8.figment" 7 "$work/$kind.pgm"
  expect "it writes a picture" '[ "$(wc -c < "$work/$kind.pgm")" = 797 ]'
  check "linux_generate without a model ($kind)" 1 "cannot open" $launcher "$bin/linux_generate_$kind" /no/such 7 "$work/x.pgm"
done
expect "static and shared agree" 'cmp -s "$work/static.pgm" "$work/shared.pgm"'

# 20 pictures of 28 x 28, the bytes of a file, of the classes 8 and 9.
clothes=$(dirname "$0")/../../models/cdcgan/cdcgan.figment
{ printf '\0\0\10\3\0\0\0\24\0\0\0\34\0\0\0\34'; head -c 15680 "$clothes"; } > "$work/images"
{ printf '\0\0\10\1\0\0\0\24'; printf '\10\11\10\11\10\11\10\11\10\11\10\11\10\11\10\11\10\11\10\11'; } > "$work/labels"
for kind in static shared; do
  tune="$launcher $bin/linux_fine_tune_$kind $clothes $work/images $work/labels 89"
  check "linux_fine_tune ($kind)" 0 "^2 steps" $tune 10 2 8 32 "$work/tuned_$kind.figment"
  check "with more pictures than there are ($kind)" 1 "hold no 11 images" $tune 11 2 8 32 "$work/x.figment"
  check "with a compressed file ($kind)" 1 "not compressed" $launcher $bin/linux_fine_tune_$kind $clothes "$work/labels" "$work/labels" 89 10 2 8 32 "$work/x.figment"
  check "in too little memory ($kind)" 1 "needs \(at least \)\?[0-9]* bytes" $tune 10 2 8 1 "$work/x.figment"
done
expect "both tune alike" 'cmp -s "$work/tuned_static.figment" "$work/tuned_shared.figment"'
check "generate with a tuned model" 0 "" $figment generate "$work/tuned_static.figment" --class 8 -n 2 -o "$work/x.png"

if [ -n "$convert" ]; then
  exported=$(dirname "$0")/../data/exported tensors=$(dirname "$0")/../data/tensors
  for network in script_g graphs_kept_d; do
    $convert -q "$exported/$network.onnx" -o "$work/$network.figment"
    check "compare $network with recorded tensors" 0 "tensors shown" $figment compare "$work/$network.figment" --against "$tensors/$network.npz"
  done
  check "and as JSON" 0 '"first_wrong": null' $figment compare "$work/script_g.figment" --against "$tensors/script_g.npz" --json
  check "the first tensor that goes wrong" 1 "relu (conv2d) is the first to go wrong: off by 2.8" \
    $figment compare "$work/graphs_kept_d.figment" --against "$tensors/graphs_kept_d_wrong.npz"
  check "tensors of another model" 1 "has no array for the input" $figment compare "$work/script_g.figment" --against "$tensors/graphs_kept_d.npz"
  check "without Python" 1 "there is no such Python to compute .*recorded.npz" env PYTHON=/no/such $figment compare "$work/script_g.figment" --against "$exported/script_g.onnx"
  if ${PYTHON:-python3} -c "import onnx, numpy" 2> "$work/out"; then
    check "compare with an ONNX file" 0 "tensors shown" $figment compare "$work/script_g.figment" --against "$exported/script_g.onnx"
    $convert "$exported/fixed_g.onnx" -o "$work/reopened.figment" -q
    check "compare with an ONNX file of a fixed batch" 0 "tensors shown.* 6 samples" $figment compare "$work/reopened.figment" --against "$exported/fixed_g.onnx" -n 6
    check "compare with an ONNX file of another model" 1 "an input that the model has not" $figment compare "$work/script_g.figment" --against "$exported/graphs_kept_d.onnx"
  else
    echo "skipped: compare with an ONNX file, for which there is no Python with onnx"
  fi
  check "a size of no dimension" 1 "--dim tme=5: no input has an open dimension of that name; there are" $convert "$exported/script_g.onnx" --dim tme=5 -o "$work/reopened.figment"
  check "a length that nothing has" 1 "no dimension of the inputs stays open beside the batch" $convert "$exported/script_g.onnx" --length 5 -o "$work/reopened.figment"
  check "a length of a model of ours" 1 "convert it from its source" $convert "$models/dcgan.figment" --length 5 -o "$work/reopened.figment"
  check "a length to train with" 109 "there is no option --length" $figment train "$work/tiny_vae.figment" --data "$work/x.npy" --length 5
  check "the report of a batch that was fixed" 0 "note: .*fixed_g.onnx: the batch, which the exporter has fixed at" $convert "$exported/fixed_g.onnx" -o "$work/reopened.figment"
  check "weights in f16" 0 "weights are stored in f16, each at most" $convert "$onnx/dgan/generator.onnx" --f16 -o "$work/f16.figment" --report "$work/f16.txt"
  check "against f32" 0 "tensors shown" $figment compare "$work/f16.figment" --against "$models/dgan.figment" --tolerance 2e-3
  { printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 100), }"; head -c 400 /dev/zero | tr '\0' '\377'; } > "$work/nan.npy"
  check "inputs that nothing is known of" 0 "input sample was drawn at random: --input sample=FILE takes your data" \
    $figment compare "$models/tiny_vae.figment" --against "$models/tiny_vae.figment" --program encode
  check "NaN on both sides" 0 "tensors hold NaN or infinite values on both sides" $figment compare "$work/f16.figment" --against "$models/dgan.figment" --input "$work/nan.npy" --tolerance 2e-3
  check "f16 trains not" 1 "train first" $convert "$onnx/gan/recipe.json" --f16 -o "$work/x.figment"
  check "int8 against f32" 0 "conv_transpose2d int8" $figment compare "$onnx/cdcgan/cdcgan_int8.figment" --against "$onnx/cdcgan/cdcgan.figment"
  check "int8 that must be better" 1 "not 90 dB: convert with --want-snr 90, or --keep-f32" \
    $figment compare "$onnx/cdcgan/cdcgan_int8.figment" --against "$onnx/cdcgan/cdcgan.figment" --want-snr 90
  check "against what is none of these" 1 "give an .onnx file" $figment compare "$work/script_g.figment" --against "$work/out"
  check "compare models under a condition" 0 "dB" $figment compare "$onnx/cdcgan/cdcgan.figment" "$onnx/cdcgan/cdcgan_int8.figment" -n 20
  check "convert" 0 "^generate, 4 ops: latent .N, 100, 1, 1. -> image .N, 1, 28, 28.$" "$convert" "$onnx/dcgan/generator.onnx" -o "$work/m.figment" --report "$work/report.txt"
  check "with all that was done" 0 "folded into" "$convert" "$onnx/dcgan/generator.onnx" -o "$work/m.figment" --report "$work/report.txt" --verbose
  expect "the report is written" 'grep -q "^file: .* memory: .* to run a sample" "$work/report.txt"'
  check "convert twice" 0 "" "$convert" "$onnx/dcgan/generator.onnx" -o "$work/m2.figment" --name m -q
  expect "the same input gives the same file" 'cmp -s "$work/m.figment" "$work/m2.figment"'
  check "keep a layer f32" 0 "kept f32 as asked" "$convert" "$onnx/dcgan/generator.onnx" -o "$work/k.figment" --int8 --keep-f32 /3/ConvTranspose
  check "keep an unknown layer" 1 "no op of that name" "$convert" "$onnx/dcgan/generator.onnx" -o "$work/x.figment" --int8 --keep-f32 nothing
  check "an unknown latent" 1 "no model has an input" "$convert" "$onnx/dcgan/generator.onnx" -o "$work/x.figment" --latent nothing
  check "no such model" 1 "cannot open" "$convert" /no/such.onnx -o "$work/x.figment"
  check "not ONNX" 1 "not an ONNX file" "$convert" "$work/broken" -o "$work/x.figment"
  check "an unwritable output" 1 "cannot write" "$convert" "$onnx/dcgan/generator.onnx" -o /no/such/x.figment -q
  check "convert a network of labels" 0 "" "$convert" "$bin/../tests/zoo/keras-embedding.kx.onnx" -o "$work/labels.figment" -q
  check "bench a network of labels" 0 '"median_us"' $figment bench "$work/labels.figment" --batch 1,3 --seconds 0.01 --json
  check "a full disk" 1 "No space left" "$convert" "$onnx/dcgan/generator.onnx" -o "$work/f.figment" -q --report /dev/full
  head -c 100000 "$onnx/dcgan/generator.onnx" > "$work/short.onnx"
  check "a truncated ONNX file" 1 "figment-convert: " "$convert" "$work/short.onnx" -o "$work/x.figment"
  expect "nothing is left behind" '[ ! -e "$work/x.figment" ]'
fi
if [ -n "$convert" ]; then
  training=$onnx/../tests/data/training/dense_gan
  check "convert for training" 0 "sigmoid is left out of training" "$convert" --objective gan --generator "$training/generator.onnx" \
    --discriminator "$training/discriminator.onnx" -o "$work/gan.figment"
  check "an objective without its network" 1 "needs --discriminator" "$convert" --objective gan \
    --generator "$training/generator.onnx" -o "$work/x.figment"
  check "a word that is none of an option's" 105 "wgan not in {non-saturating,hinge,least-squares,wasserstein}" "$convert" \
    --gan-loss wgan "$training/generator.onnx"
  check "training with int8" 1 "after training" "$convert" --objective gan --generator "$training/generator.onnx" \
    --discriminator "$training/discriminator.onnx" --int8 -o "$work/x.figment"
  check "inspect its objective" 0 "objective: gan, loss non-saturating" $figment inspect "$work/gan.figment"
  check "inspect a model that trains" 0 "adam_update" $figment inspect "$work/gan.figment"
  check "bench a model that trains" 0 "train.step" $figment bench "$work/gan.figment" --batch 4 --seconds 0.01
  $figment generate "$work/gan.figment" --seed 1 -n 40 -o "$work/samples.npy"
  check "train" 0 "^12 steps, d.loss" $figment train "$work/gan.figment" --data "$work/samples.npy" --steps 12 --batch 8 \
    --out "$work/trained.figment" --report "$work/report" --pictures-every 5
  expect "the losses of all steps are written" '[ "$(wc -l < "$work/report/losses.csv")" = 13 ] && grep -q "</svg>" "$work/report/losses.svg"'
  check "train again" 0 "" $figment train "$work/gan.figment" --data "$work/samples.npy" --steps 12 --batch 8 --threads 2 \
    --out "$work/again.figment"
  expect "the same seed gives the same model, on any number of threads" 'cmp -s "$work/trained.figment" "$work/again.figment"'
  expect "training changes the model" '! cmp -s "$work/gan.figment" "$work/trained.figment"'
  check "generate with the trained model" 0 "" $figment generate "$work/trained.figment" -n 4 -o "$work/d.npy"
  check "a model that does not train" 1 "does not train\|no program train.step" $figment train "$models/dgan.figment" --data "$work/samples.npy"
  check "data of another shape" 1 "samples of \[1, 28, 28\]; input image takes samples of \[12\]" $figment train "$work/gan.figment" --data "$work/a.npy"
  check "train an int8 model" 1 "train the f32 model that it was made of, then quantize" $figment train "$models/dcgan_int8.figment" --data "$work/samples.npy"
  check "data that is none" 1 "truncated\|no IDX" $figment train "$work/gan.figment" --data "$work/broken"
  "$convert" --objective gan --gan-loss hinge --generator "$training/generator.onnx" --discriminator "$training/discriminator.onnx" \
    -o "$work/hinge.figment" -q
  check "a checkpoint" 0 "" $figment train "$work/gan.figment" --data "$work/samples.npy" --steps 2 --batch 8 --checkpoint "$work/losses"
  check "a checkpoint of another loss" 1 "is of another model" $figment train "$work/hinge.figment" --data "$work/samples.npy" \
    --steps 4 --batch 8 --checkpoint "$work/losses"
  check "two outputs in one file" 1 "are one file" $figment train "$work/gan.figment" --data "$work/samples.npy" --steps 2 --batch 8 \
    --out "$work/one.figment" --keep-best "$work/../$(basename "$work")/one.figment"
  check "an output over its input" 1 "would be overwritten" "$convert" "$work/gan.figment" -o "$work/gan.figment"
  check "an unwritable result" 1 "cannot write" $figment train "$work/gan.figment" --data "$work/samples.npy" --steps 1 --batch 8 --out /no/such/x.figment
fi
if [ -n "$convert" ]; then
  recipes=$onnx/../tests/data/recipes
  check "convert a recipe" 0 "train.step" "$convert" "$recipes/tiny_vae.json" -o "$work/vae.figment"
  printf '{ "objective": "vae" }' > "$work/bad.json"
  check "a recipe with a mistake" 1 "bad.json: needs" "$convert" "$work/bad.json" -o "$work/x.figment"
  check "an option that the recipe decides" 1 "is set by the recipe" "$convert" "$recipes/tiny_vae.json" --learning-rate 5 -o "$work/x.figment"
  check "a training option without an objective" 1 "needs --objective" "$convert" "$onnx/dcgan/generator.onnx" --ema 0.9 -o "$work/x.figment"
  check "start from a trained model" 0 "" "$convert" "$recipes/tiny_vae.json" --start-from "$models/tiny_vae.figment" --train-only last:1 -o "$work/started.figment"
  $figment generate "$models/tiny_vae.figment" -n 3 -o "$work/x.npy" && $figment generate "$work/started.figment" -n 3 -o "$work/y.npy"
  expect "it makes the same samples" 'cmp -s "$work/x.npy" "$work/y.npy"'
  check "start from another model" 1 "trains no parameter encoder" "$convert" "$recipes/tiny_vae.json" --start-from "$models/tiny_crgan.figment" -o "$work/x.figment"
  check "quantize a generator with classes" 0 "PSNR" "$convert" "$models/tiny_gan.figment" --int8 --calibration-data label=classes --psnr-goal 0 -o "$work/x.figment"
  check "freezing what is not there" 1 "no parameter has such a name" "$convert" "$recipes/tiny_vae.json" --freeze nothing -o "$work/x.figment"
  check "training a network that is not there" 1 "there is no network" "$convert" "$recipes/tiny_vae.json" --train-only foo:bias -o "$work/x.figment"
  : > "$work/empty.json"
  check "an empty recipe" 1 "is not JSON" "$convert" "$work/empty.json" -o "$work/x.figment"
  check "a code without its weight" 1 "write NAME=CATEGORIES" "$convert" --objective infogan --codes c=3@ --generator x --discriminator y -o "$work/x.figment"
  check "an option of int8 without it" 1 "psnr-goal needs --int8" "$convert" "$onnx/dcgan/generator.onnx" --psnr-goal 40 -o "$work/x.figment"
  check "an option of another objective" 1 "beta does not go with the objective gan" "$convert" --objective gan --beta 2 --generator x --discriminator y -o "$work/x.figment"
  check "a prior for a finished model" 1 "is set in the model already" "$convert" "$models/tiny_vae.figment" --prior uniform -o "$work/x.figment"
  sed 's/"kind": "wasserstein"/"kind": "wasserstein", "critic_steps": 3/' "$recipes/tiny_crgan.json" > "$work/critic.json"
  check "several critic steps" 0 "" "$convert" "$work/critic.json" -q -o "$work/critic.figment"
  $figment generate "$work/critic.figment" -n 16 -o "$work/critic.npy"
  check "train with them" 0 "^6 steps" $figment train "$work/critic.figment" --data "$work/critic.npy" --batch 8 --steps 6 --report "$work/critic"
  expect "every metric has its column, empty where a step has none" \
    '[ "$(head -1 "$work/critic/losses.csv")" = step,d.loss,g.loss ] && grep -q "^1,[-0-9.]*,$" "$work/critic/losses.csv" && grep -q "^3,[-0-9.]*,[-0-9.]*$" "$work/critic/losses.csv"'
  printf '{"objective": "vae", "latent": {"size": 2}, "sample": {"shape": [3]}, "encoder": {"layers": [{"type": "linear", "units": 4}]}, "decoder": {"layers": [{"type": "linear", "units": 3}]}, "loss": {"likelihood": "gaussian"}}' > "$work/free.json"
  "$convert" "$work/free.json" -q -o "$work/free.figment"
  printf '0,10,250\n5,20,200\n9,30,100\n7,15,220\n' > "$work/far.csv"
  check "data far from 1" 0 "has values from 0 to 250, and networks learn best from values around" $figment train "$work/free.figment" --data "$work/far.csv" --batch 2 --steps 1 --out "$work/x.figment"
  check "unknown codes" 1 "write NAME=CATEGORIES" "$convert" --objective infogan --codes category --generator x --discriminator y -o "$work/x.figment"
  check "infogan without codes" 1 "infogan needs codes" "$convert" --objective infogan --generator x --discriminator y -o "$work/x.figment"
fi
# Data and scores.
pictures=$(dirname "$0")/../data/pictures
check "train on a folder of pictures" 0 "^3 steps" $figment train "$work/tiny_infogan.figment" --data "$pictures" --batch 2 --steps 3
check "a folder without pictures" 1 "holds no .png" $figment train "$work/tiny_infogan.figment" --data "$(dirname "$0")" --batch 2 --steps 3
awk 'BEGIN { for (i = 0; i < 4; ++i) for (j = 0; j < 36; ++j) printf "%s%s", (i + j) % 5 / 4, j < 35 ? "," : "\n" }' > "$work/half.csv"
check "data that takes half of the range" 0 "no value is below 0, the model's samples lie in \[-1, 1\]" $figment train "$work/tiny_infogan.figment" --data "$work/half.csv" --batch 2 --steps 3
check "the same, scaled" 0 "^3 steps" $figment train "$work/tiny_infogan.figment" --data "$work/half.csv" --normalize --batch 2 --steps 3
i=0; while [ $i -lt 60 ]; do echo "$i,$((i * i % 17))"; i=$((i + 1)); done > "$work/series.csv"
check "train on the windows of a series" 0 "^3 steps" $figment train "$work/tiny_crgan.figment" --data "$work/series.csv" --normalize --batch 8 --steps 3
check "a series that is too short" 1 "a sequence has 7 steps" $figment train "$work/tiny_crgan.figment" --data "$(head -3 "$work/series.csv" > "$work/short.csv"; echo "$work/short.csv")" --batch 8 --steps 3
check "evaluate sequences" 0 "difference of power spectra" $figment evaluate "$models/tiny_crgan.figment" --data "$work/series.csv" --normalize --seeds 2
check "evaluate --json" 0 '"frechet_distance":{"mean"' $figment evaluate "$models/tiny_crgan.figment" --data "$work/series.csv" --normalize --seeds 2 --json
expect "windows of a series are not told apart by a classifier" '! $figment evaluate "$models/tiny_crgan.figment" --data "$work/series.csv" --normalize --seeds 1 | grep -q discriminative'
$figment generate "$models/tiny_crgan.figment" --seed 7 -n 40 -o "$work/sequences.npy"
check "evaluate --json of sequences" 0 '"discriminative":{"mean"' $figment evaluate "$models/tiny_crgan.figment" --data "$work/sequences.npy" --seeds 1 --json
check "data for an input twice" 1 "one file each" $figment train "$work/tiny_vae.figment" --data "$work/a.npy" --data sample="$work/a.npy"
check "evaluate without a sequence that is a condition" 1 "missing: --data season=FILE" $figment evaluate "$(dirname "$0")/../../models/weather_crgan/weather_crgan.figment" --data "$(dirname "$0")/../../models/weather/seattle.csv" --normalize --seeds 1
check "evaluate with it" 0 "power spectra" $figment evaluate "$(dirname "$0")/../../models/weather_crgan/weather_crgan.figment" --data sample="$(dirname "$0")/../../models/weather/seattle.csv" --data season="$(dirname "$0")/../../models/weather/season.csv" --normalize --hold-out 0.1 --seeds 1 --samples 40
check "hold out the end of a series" 0 "^3 steps" $figment train "$work/tiny_crgan.figment" --data "$work/series.csv" --normalize --hold-out 0.4 --batch 27 --steps 3
check "no window reaches into what is held out" 1 "larger than the data: --batch 27 at most" $figment train "$work/tiny_crgan.figment" --data "$work/series.csv" --normalize --hold-out 0.4 --batch 28 --steps 3
$figment generate "$models/tiny_vae.figment" --seed 5 -n 64 -o "$work/real.npy"
i=0; while [ $i -lt 64 ]; do echo "$((i % 4))"; i=$((i + 1)); done > "$work/classes.csv"
only="$figment train $work/tiny_vae.figment --data $work/real.npy --labels $work/classes.csv --steps 2"
check "train on some classes" 0 "^2 steps" $only --classes 0-1,3 --batch 48
check "of which there are no more" 1 "larger than the data: --batch 48 at most" $only --classes 0-1,3 --batch 49
check "train on a few samples of a class" 1 "larger than the data: --batch 5 at most" $only --classes 2 --limit 5 --batch 6
check "classes without labels" 1 "needs the classes of the samples" $figment train "$work/tiny_vae.figment" --data "$work/real.npy" --classes 0
check "classes that are none" 1 "write numbers and ranges" $only --classes 3-1
check "a class that no sample has" 1 "there are no samples of them" $only --classes 7
held=$($figment train "$work/tiny_vae.figment" --data "$work/real.npy" --hold-out 0.25 --batch 64 --steps 1 2>&1 | sed -n 's/.*--batch \([0-9]*\) at most/\1/p')
expect "a part is held out" '[ "$held" -gt 38 ] && [ "$held" -lt 58 ]'
check "and judged by" 0 "ELBO" $figment evaluate "$models/tiny_vae.figment" --data "$work/real.npy" --hold-out 0.5 --seeds 1
check "evaluate a VAE" 0 "ELBO in nats" $figment evaluate "$models/tiny_vae.figment" --data "$work/real.npy" --seeds 2
$figment generate "$models/tiny_infogan.figment" -n 40 -o "$work/images.npy"
check "keep the best" 0 "best loss (with beta)" $figment train "$work/tiny_vae.figment" --data "$work/real.npy" --batch 8 --steps 40 --keep-best "$work/best.figment" --out "$work/last.figment"
check "the best is a model" 0 "ELBO" $figment evaluate "$work/best.figment" --data "$work/real.npy" --seeds 1
check "keep the best images without a classifier" 0 "best Fréchet distance of random features" $figment train "$work/tiny_infogan.figment" --data "$work/images.npy" --batch 8 --steps 4 --keep-best "$work/best.figment"
$figment generate "$models/tiny_gan.figment" --class 1 -n 4 -o "$work/made.npy"
check "project by the encoder" 0 "rms error" $figment project "$models/tiny_vae.figment" --data "$work/real.npy" -n 5 -o "$work/latents.npy"
check "project by a search" 0 "rms error" $figment project "$models/tiny_infogan.figment" --data "$work/images.npy" -n 2 --steps 200 --learning-rate 0.1 --prior-weight 0 -o "$work/projected.png" -o "$work/projected.csv" -o "$work/latents.npy"
expect "finds what the model made" '[ "$($figment project "$info" --data "$work/images.npy" -n 2 --steps 200 --learning-rate 0.1 --prior-weight 0 | tail -2 | cut -c 9- | awk "\$1 > 0.05" | wc -l)" = 0 ]'
check "project a sequence" 0 "rms error" $figment project "$models/tiny_crgan.figment" --data "$work/series.csv" --normalize -n 2 --steps 5 -o "$work/projected.svg"
check "project with a class" 0 "rms error" $figment project "$models/tiny_gan.figment" --data "$work/made.npy" -n 2 --steps 5
check "project without a program" 1 "neither an encoder nor" $figment project "$models/dgan.figment" --data "$work/images.npy"
check "evaluate images without a classifier" 0 "Fréchet distance of random features" $figment evaluate "$models/tiny_infogan.figment" --data "$work/images.npy" --seeds 1
check "or by the discriminator" 0 "Fréchet distance of the discriminator" $figment evaluate "$models/tiny_infogan.figment" --data "$work/images.npy" --seeds 1 --features discriminator
check "which changes while it trains" 1 "give --features random" $figment train "$work/tiny_infogan.figment" --data "$work/images.npy" --batch 8 --steps 4 --keep-best "$work/best.figment" --features discriminator
# Measurements, in their units.
awk 'BEGIN { print "time,temp (°C),hum (%)"; for (i = 0; i < 120; ++i) printf "%02d:00,%.3f,%.3f\n", i % 24, 20 + 5 * sin(i / 4), 50 + 10 * cos(i / 4) }' > "$work/sensor.csv"
crgan="$work/tiny_crgan.figment"
check "a column of times" 1 "give --time-column 1" $figment train "$crgan" --data "$work/sensor.csv" --steps 3 --batch 8
check "train in the data's units" 0 "120 rows of 2 columns (temp (°C), hum (%)), from 00:00 to 23:00" $figment train "$crgan" --data "$work/sensor.csv" --time-column time --normalize --steps 3 --batch 8 --out "$work/sensor.figment" --checkpoint "$work/sensor_run"
check "the model keeps the ranges" 0 "scaling: temp (°C) = [12][09]\.[0-9]* + 4\.9[0-9]* x" $figment inspect "$work/sensor.figment"
check "and writes in its units" 0 "" $figment generate "$work/sensor.figment" -n 3 -o "$work/sensor_samples.csv" -o "$work/sensor_samples.svg" -o "$work/sensor_samples.npy"
expect "with names" 'head -1 "$work/sensor_samples.csv" | grep -q "^sample,step,temp (°C),hum (%)$" && grep -q "■ temp (°C), 15" "$work/sensor_samples.svg"'
expect "with values between the least and the greatest" 'tail -n +2 "$work/sensor_samples.csv" | awk -F, "\$3 < 14.9 || \$3 > 25.1 || \$4 < 39.9 || \$4 > 60.1 { bad = 1 } END { exit bad }"'
check "a resumed run keeps them" 0 "resumed from step 3" $figment train "$crgan" --data "$work/sensor.csv" --columns 2-3 --time-column 1 --normalize --steps 4 --batch 8 --checkpoint "$work/sensor_run" --out "$work/sensor2.figment"
check "the same ranges" 0 "scaling: temp (°C) = [12][09]\.[0-9]* + 4\.9[0-9]* x" $figment inspect "$work/sensor2.figment"
check "they are applied to new data, whose columns are found by name" 0 "power spectra" $figment evaluate "$work/sensor.figment" --data "$work/sensor.csv" --seeds 1
sed '2,200s/\([^,]*,\)[^,]*/\1/' "$work/sensor.csv" > "$work/gaps.csv"
check "missing values" 1 "line 2: temp (°C) is empty; --fill previous" $figment evaluate "$work/sensor.figment" --data "$work/gaps.csv" --seeds 1
check "score by a discriminator" 0 "windows by their negative output of the discriminator, threshold" $figment score "$work/sensor.figment" --data "$work/sensor.csv" --time-column time -o "$work/scores.csv" --plot "$work/scores.svg"
expect "a row for each window" '[ "$(wc -l < "$work/scores.csv")" = 115 ] && head -1 "$work/scores.csv" | grep -q "^window,from,to,score,alarm$" && grep -q "</svg>" "$work/scores.svg"'
check "score by a reconstruction" 0 "64 windows by their reconstruction error, threshold" $figment score "$models/tiny_vae.figment" --data "$work/real.npy"
check "score as JSON" 0 '"by":"negative ELBO","threshold":0.5,"calibrated_on":0' $figment score "$models/tiny_vae.figment" --data "$work/real.npy" --by elbo --threshold 0.5 --json
# Training from the models that the x86-64 build converts, on every target.
$figment generate "$models/tiny_vae.figment" --seed 1 -n 40 -o "$work/vae.npy"
train="$figment train $work/tiny_vae.figment --data $work/vae.npy --batch 8 --seed 3"
check "train in one go" 0 "^12 steps" $train --steps 12 --out "$work/straight.figment" --report "$work/straight"
check "train with checkpoints" 0 "^5 steps" $train --steps 5 --checkpoint "$work/run" --checkpoint-every 2 --report "$work/resumed"
check "go on from the checkpoint" 0 "^12 steps" $train --steps 12 --checkpoint "$work/run" --out "$work/resumed.figment" --report "$work/resumed"
expect "a resumed run gives the same model" 'cmp -s "$work/straight.figment" "$work/resumed.figment"'
expect "and the same losses" 'cmp -s "$work/straight/losses.csv" "$work/resumed/losses.csv"'
rm "$work"/tiny_vae.trained*
check "a run that names no file says where its model will be" 0 "the trained model is $work/tiny_vae.trained.figment" \
  $train --steps 3
check "and overwrites none" 0 "the trained model will be $work/tiny_vae.trained.2.figment" $train --steps 3
expect "both are models" 'cmp -s "$work/tiny_vae.trained.figment" "$work/tiny_vae.trained.2.figment"'
$train --steps 250 --out "$work/x.figment" > "$work/lines"
expect "a line each 100 steps" '[ "$(grep -c "^step [12]00/250  [0-9.e]* it/s  0*:*00:0[0-9] left  loss [0-9.]*  lr [0-9.e-]*" "$work/lines")" = 2 ]'
$train --steps 250 --out "$work/x.figment" --json > "$work/lines"
expect "as JSON" '[ "$(grep -c "^{\"step\":[12]00,\"steps\":250,.*\"metrics\":{\"vae.loss\":" "$work/lines")" = 2 ] && tail -1 "$work/lines" | grep -q "^{\"done\":true,\"step\":250,"'
in_terminal "$train --steps 250 --out $work/x.figment" > "$work/lines"
expect "one line that fits, on a terminal" 'grep -q "step 250/250 .* left  loss" "$work/lines" && ! grep -q "^step.\{77\}" "$work/lines"'
( $train --steps 1000000 --out "$work/x.figment" --report "$work/growing" > /dev/null 2>&1; true ) &
for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do [ -s "$work/growing/losses.csv" ] || sleep 1; done
expect "losses can be looked at while it trains" '[ "$(wc -l < "$work/growing/losses.csv")" -gt 2 ]'
pkill -INT -f "$work/growing"; wait
expect "and a run that is interrupted keeps them" 'tail -1 "$work/growing/losses.csv" | grep -q "^[0-9]*,[-0-9.]*," && [ -e "$work/growing/losses.svg" ]'
check "a run that is over" 0 "is finished, with 12 of 12 steps" $train --steps 12 --checkpoint "$work/run"
$figment parameters "$models/tiny_vae.figment" --checkpoint "$work/run" -o "$work/p12"
check "a resumed run with another learning rate" 0 "resumed from step 12" $train --steps 13 --checkpoint "$work/run" --set vae.learning_rate=0
check "a hyperparameter that is not there" 1 "for one of vae.learning_rate" $train --steps 14 --checkpoint "$work/run" --set rate=1
check "a checkpoint of another run" 1 "give the same, or another folder" $figment train "$work/tiny_vae.figment" --data "$work/vae.npy" --batch 4 --steps 12 --checkpoint "$work/run"
check "a checkpoint of another model" 1 "another model" $figment parameters "$models/tiny_infogan.figment" --checkpoint "$work/run" -o "$work/p"
check "parameters" 0 "parameters written" $figment parameters "$models/tiny_vae.figment" --checkpoint "$work/run" -o "$work/p"
expect "without a learning rate nothing is learned" 'cmp -s "$work/p12/encoder.0.weight.npy" "$work/p/encoder.0.weight.npy"'
expect "with the optimizer's state" '[ -e "$work/p/encoder.0.weight.adam_m.npy" ]'
check "load parameters" 0 "parameters loaded" $figment parameters "$models/tiny_vae.figment" --load "$work/p" --out "$work/loaded.figment"
check "loaded values that go nowhere" 1 "give --out FILE" $figment parameters "$models/tiny_vae.figment" --load "$work/p"
cp "$work/p/encoder.0.weight.npy" "$work/p/encoder.9.weight.npy"
check "a file of no parameter" 1 "encoder.9.weight.npy: the model has no parameter of that name; " \
  $figment parameters "$models/tiny_vae.figment" --load "$work/p" --out "$work/x.figment"
rm "$work/p/encoder.9.weight.npy"
check "write them again" 0 "" $figment parameters "$work/loaded.figment" -o "$work/p2"
expect "they are the same" 'cmp -s "$work/p/encoder.0.weight.npy" "$work/p2/encoder.0.weight.npy"'
total=$($figment inspect "$models/tiny_crgan.figment" --batch 64 --json | sed -n 's/.*"total": \([0-9]*\).*/\1/p')
$figment generate "$models/tiny_crgan.figment" --seed 1 -n 64 -o "$work/sequences.npy"
check "train in less memory" 0 "^3 steps" $figment train "$work/tiny_crgan.figment" --data "$work/sequences.npy" --batch 64 --steps 3 --memory-limit $((total - 1))
check "train in too little" 1 "needs \(at least \)\?[0-9]* bytes" $train --steps 3 --memory-limit 10K
for signal in 15 1; do  # TERM and HUP
  ( $train --steps 1000000 --checkpoint "$work/signal$signal" --checkpoint-every 20 > "$work/signal.out" 2>&1; echo $? > "$work/signal.status" ) &
  for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -e "$work/signal$signal" ] || sleep 1; done
  pkill -$signal -f "$work/signal$signal" && wait
  expect "signal $signal ends a run in order" '[ "$(cat "$work/signal.status")" = $((128 + signal)) ] && grep -q "rerun the command to resume" "$work/signal.out" && ls "$work/signal$signal/" | grep -q checkpoint'
done
$figment generate "$models/tiny_vae.figment" --seed 9 -n 6 --batch 6 -o "$work/x.npy"
$figment run "$models/tiny_vae.figment" --program encode --batch 6 --input sample="$work/x.npy" --output latent_mean="$work/noise.npy"
check "an output over its input" 1 "would be overwritten" $figment run "$models/tiny_vae.figment" --program encode --input "$work/x.npy" --output latent_mean="$work/x.npy"
check "an input twice" 1 "sample is given twice" $figment run "$models/tiny_vae.figment" --program encode --input "$work/x.npy" --input sample="$work/x.npy"
check "an output without a name" 1 "name the output, NAME=FILE, of latent_mean, latent_log_variance" $figment run "$models/tiny_vae.figment" --program encode --input "$work/x.npy" --output "$work/y.npy"
check "run a train program" 0 "" $figment run "$models/tiny_vae.figment" --program train.step --batch 6 --input sample="$work/x.npy" --input noise="$work/noise.npy" --output vae.loss="$work/loss.npy"
if [ -n "$convert" ]; then
  "$convert" "$onnx/classifier/classifier.onnx" -o "$work/fashion.figment" -q
  check "a recipe of a classifier" 0 "a classifier of 2 classes. Train it, and score by it" $figment train "$work/tiny_infogan.figment" --data "$pictures" --classifier-recipe "$work/pictures.json"
  "$convert" "$work/pictures.json" -o "$work/untrained.figment" -q
  check "train a classifier" 0 "^40 steps, classifier.loss 0.0" $figment train "$work/untrained.figment" --data "$pictures" --batch 2 --steps 40 --out "$work/own.figment" --report "$work/own"
  check "how often it is right" 0 "accuracy 100.0 % of 2 samples" $figment evaluate "$work/own.figment" --data "$pictures"
  check "score by it" 0 "Fréchet distance of features" $figment evaluate "$models/tiny_infogan.figment" --data "$work/images.npy" --seeds 1 --classifier "$work/own.figment"
  $figment generate "$models/tiny_infogan.figment" -n 24 -o "$work/some.npy"
  awk 'BEGIN { for (i = 0; i < 24; ++i) print i % 3 }' > "$work/some.csv"
  (cd "$work" && $figment train "$work/tiny_infogan.figment" --data some.npy --labels some.csv --classifier-recipe some.json | tail -n +2 > commands)
  expect "the commands that it says work" '[ "$(wc -l < "$work/commands")" = 4 ] && (cd "$work" && PATH="$bin:$PATH" sh -e commands > commands.out 2>&1) || { cat "$work/commands" "$work/commands.out"; false; }'
  check "quantize a classifier without examples" 1 "int8 needs examples of its inputs" "$convert" "$work/own.figment" --int8 -o "$work/x.figment"
  check "evaluate with a classifier of another size" 1 "takes images of 784 values, the model makes 36: train one for such images" $figment evaluate "$models/tiny_infogan.figment" --data "$work/images.npy" --seeds 1 --classifier "$work/fashion.figment"
  check "quantize a trained model" 0 "PSNR" "$convert" "$work/straight.figment" --int8 -o "$work/q.figment"
  check "quantize a recurrent generator" 0 "PSNR" "$convert" "$models/tiny_crgan.figment" --int8 -o "$work/q3.figment" --psnr-goal 0
  check "quantize a checkpoint" 0 "PSNR" "$convert" "$models/tiny_vae.figment" --checkpoint "$work/run" --int8 -o "$work/q2.figment" --name tiny_vae
  check "a checkpoint of no model" 1 "takes the .figment model" "$convert" "$onnx/dcgan/generator.onnx" --checkpoint "$work/run" -o "$work/x.figment"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
