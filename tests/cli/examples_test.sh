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

# A sine with noise; from row 3500 on for 60 rows something rings.
examples=$(dirname "$0")/../../firmware_examples
awk 'BEGIN { srand(5); for (i = 0; i < 4000; ++i) { x = 3 * sin(i * 0.4) + sin(i * 0.8 + 0.3) + 0.3 * (rand() - 0.5); if (i >= 3500 && i < 3560) x += sin(i * 1.7); print 20 + x } }' > "$work/series"
if [ -n "$convert" ]; then
"$convert" "$examples/cortex_m_anomaly/recipe.json" -o "$work/vibration.figment" -q
for kind in static shared; do
  check "linux_anomaly ($kind)" 0 "^row,score,alarm" sh -c "$launcher $bin/linux_anomaly_$kind $work/vibration.figment $work/state_$kind 2000 1000 1500 < $work/series"
  cp "$work/out" "$work/scores_$kind"
  tail -n 1000 "$work/series" > "$work/rest"
  check "it goes on from its state ($kind)" 0 "^row,score,alarm" sh -c "$launcher $bin/linux_anomaly_$kind $work/vibration.figment $work/state_$kind 0 0 0 < $work/rest"
  check "linux_anomaly without a state ($kind)" 1 "no checkpoint" sh -c "$launcher $bin/linux_anomaly_$kind $work/vibration.figment $work/none 0 0 0 < $work/rest"
  check "linux_anomaly of too short a series ($kind)" 1 "ends before" sh -c "$launcher $bin/linux_anomaly_$kind $work/vibration.figment $work/none 2000 0 10 < $work/rest"
done
expect "static and shared find the same" 'cmp -s "$work/scores_static" "$work/scores_shared"'
# A window holds 32 rows; a vote takes three of five.
expect "alarms begin with the fault and end with the last window of it" '[ "$(sed -n "s/^\([0-9]*\),.*,1$/\1/p" "$work/scores_static" | sort -n | sed -n 1p)" -ge 3500 ]'
expect "and there are enough" '[ "$(grep -c ",1$" "$work/scores_static")" -ge 70 ]'
expect "and no more" '[ "$(grep -c ",1$" "$work/scores_static")" -le 96 ]'
fi

for kind in static shared; do
  mkdir "$work/service_$kind"
  check "linux_service ($kind)" 0 "version 3 is the last" $launcher "$bin/linux_service_$kind" "$examples/cortex_m_fine_tune/clothes.figment" "$work/images" 3 5 "$work/service_$kind"
  check "a picture of the last version ($kind)" 0 "" $launcher "$bin/linux_generate_$kind" "$work/service_$kind/model.figment" 7 "$work/last.pgm"
  expect "is the service's" 'cmp -s "$work/last.pgm" "$work/service_$kind/3.pgm"'
  expect "and another than the first's" '! cmp -s "$work/last.pgm" "$work/service_$kind/0.pgm"'
  check "linux_service without a folder ($kind)" 1 "cannot write" $launcher "$bin/linux_service_$kind" "$examples/cortex_m_fine_tune/clothes.figment" "$work/images" 1 1 "$work/nowhere"
done

summary
