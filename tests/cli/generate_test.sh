#!/bin/sh
# Help, inspecting models, timing them and making samples.
. "$(dirname "$0")/check.sh"
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
check "what a target takes" 0 "generate, batch 1 " $figment inspect "$models/dcgan.figment" --target cortex_m55
expect "it fits a terminal" '! grep -q "^.\{81\}" "$work/out"'
check "and to train there" 0 "64 KiB  batch [1-9]" $figment inspect "$models/tiny_vae.figment" --target cortex_m7 --batch 8
expect "it fits, too" '! grep -q "^.\{81\}" "$work/out"'
check "as JSON" 0 '"budgets"' $figment inspect "$models/tiny_vae.figment" --target cortex_m3 --json
check "a target that there is not" 105 "cortex_m7" $figment inspect "$models/dcgan.figment" --target cortex_m0
check "no such model" 1 "cannot open /no/such" $figment inspect /no/such
check "a folder" 1 "directory" $figment inspect "$work"
printf 'hello' > "$work/broken"
check "not a model" 1 "not a Figment model" $figment inspect "$work/broken"
head -c 5000 "$models/dcgan.figment" > "$work/short.figment"
check "a truncated model" 1 "truncated" $figment inspect "$work/short.figment"
check "zero samples" 105 "" $figment generate "$models/dcgan.figment" -n 0 -o "$work/c.npy"
check "a memory limit too small" 1 "needs \(at least \)\?[0-9]* bytes" $figment generate "$models/dcgan.figment" -n 1 --memory-limit 1M -o "$work/c.npy"
check "a memory limit as reports write it" 0 "" $figment generate "$models/dcgan.figment" -n 1 --memory-limit 20.5MB -o "$work/x.npy"
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
echo 1 > "$work/label.csv"
check "samples over their condition" 1 "would be overwritten" $figment generate "$models/tiny_gan.figment" --condition label="$work/label.csv" -n 1 -o "$work/label.csv"
check "options before the model" 0 "" $figment generate -o "$work/before.csv" --class 1 "$info" -n 3
expect "are the same as behind it" 'cmp -s "$work/before.csv" "$work/class.csv"'
check "a recipe in place of a model" 1 "is a recipe: convert it with figment-convert" $figment inspect "$data/recipes/tiny_vae.json"
in_terminal "$figment inspect $models/tiny_vae.figment" > "$work/table"
expect "tables fit a terminal" '! sed "s/…/./g" "$work/table" | grep -q "^.\{81\}" && grep -q "gemm fully" "$work/table"'
summary
