#!/bin/sh
# The example programs of firmware_examples/, linked statically and dynamically.
. "$(dirname "$0")/check.sh"
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

summary
