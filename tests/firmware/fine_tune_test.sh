#!/bin/sh
# A Cortex-M learns what this machine would learn, to the last bit, and what it learns halves the Fréchet distance to the samples that it
# saw. Arguments: the emulator, the program for it, the steps that it makes, the same program for this machine, what writes its samples as
# an IDX file, the folder of figment and figment-convert, and the project's.
set -eu
qemu=$1
firmware=$2
steps=$3
host=$4
samples=$5
bin=$6
project=$7
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "fine_tune_test: $*" >&2; exit 1; }

mkdir -p "$work/there/learned" "$work/here/learned"
(cd "$work/there" && $qemu "$firmware" -chardev stdio,id=console \
  -semihosting-config "enable=on,target=native,chardev=console,arg=cortex_m_fine_tune,arg=$steps" < /dev/null) || fail "the firmware fails"
(cd "$work/here" && "$host" "$steps" > /dev/null) || fail "the program for this machine fails"
for file in before.pgm after.pgm learned/a.checkpoint learned/b.checkpoint; do
  cmp "$work/there/$file" "$work/here/$file" || fail "$file is another"
done
# What the linker scripts leave for the stack is far more than this.
stack=$(cd "$work/there" && $qemu "$firmware" -chardev stdio,id=console \
  -semihosting-config "enable=on,target=native,chardev=console,arg=cortex_m_fine_tune,arg=1" < /dev/null | sed -n 's/^stack: \(.*\) bytes/\1/p')
[ "$stack" -le 4096 ] || fail "$stack bytes of stack are more than 4096"

# As many steps as it takes; the first are the ones above.
(cd "$work/here" && "$host" 60 > /dev/null)
example=$project/firmware_examples/cortex_m_fine_tune
"$bin/figment-convert" "$example/recipe.json" --start-from "$example/clothes.figment" --freeze generator.0.weight -o "$work/before.figment" -q
"$bin/figment-convert" "$work/before.figment" --checkpoint "$work/here/learned" -o "$work/after.figment" -q
"$bin/figment-convert" "$project/models/classifier/classifier.onnx" -o "$work/classifier.figment" -q
"$samples" "$work/samples.idx"
distance() {
  "$bin/figment" evaluate "$work/$1.figment" --data "$work/samples.idx" --classifier "$work/classifier.figment" --json |
    sed -n 's/.*"frechet_distance":{"mean":\([0-9]*\).*/\1/p'
}
before=$(distance before)
after=$(distance after)
echo "Fréchet distance to the samples: $before before, $after after 60 steps"
[ $((2 * after)) -le "$before" ] || fail "the distance is not halved"
