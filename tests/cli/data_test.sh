#!/bin/sh
# Pictures, series, measurements and classes to train on.
. "$(dirname "$0")/check.sh"
pictures=$data/pictures
check "train on a folder of pictures" 0 "^3 steps" $figment train "$work/tiny_infogan.figment" --data "$pictures" --batch 2 --steps 3
check "a folder without pictures" 1 "holds no .png" $figment train "$work/tiny_infogan.figment" --data "$(dirname "$0")" --batch 2 --steps 3
awk 'BEGIN { for (i = 0; i < 4; ++i) for (j = 0; j < 36; ++j) printf "%s%s", (i + j) % 5 / 4, j < 35 ? "," : "\n" }' > "$work/half.csv"
check "data that takes half of the range" 0 "no value is below 0, the model's samples lie in \[-1, 1\]" $figment train "$work/tiny_infogan.figment" --data "$work/half.csv" --batch 2 --steps 3
check "the same, scaled" 0 "^3 steps" $figment train "$work/tiny_infogan.figment" --data "$work/half.csv" --normalize --batch 2 --steps 3
i=0; while [ $i -lt 60 ]; do echo "$i,$((i * i % 17))"; i=$((i + 1)); done > "$work/series.csv"
check "train on the windows of a series" 0 "^3 steps" $figment train "$work/tiny_crgan.figment" --data "$work/series.csv" --normalize --batch 8 --steps 3
check "a series that is too short" 1 "a sequence has 7 steps" $figment train "$work/tiny_crgan.figment" --data "$(head -3 "$work/series.csv" > "$work/short.csv"; echo "$work/short.csv")" --batch 8 --steps 3
$figment generate "$models/dcgan_int8.figment" -n 4 -o "$work/a.npy"
check "data for an input twice" 1 "one file each" $figment train "$work/tiny_vae.figment" --data "$work/a.npy" --data sample="$work/a.npy"
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
check "score by a vote" 0 "windows are alarms: 2 of the last 3 are above it" $figment score "$models/tiny_vae.figment" --data "$work/real.npy" --vote 2/3
check "a vote of more than all" 1 "give N/M" $figment score "$models/tiny_vae.figment" --data "$work/real.npy" --vote 4/3
check "score as JSON" 0 '"by":"negative ELBO","threshold":0.5,"calibrated_on":0' $figment score "$models/tiny_vae.figment" --data "$work/real.npy" --by elbo --threshold 0.5 --json
# Pictures of more classes than labels in files may have, and one that has none.
mkdir "$work/many"
i=0; while [ $i -lt 1010 ]; do mkdir "$work/many/c$i"; cp "$pictures/a/ramp.png" "$work/many/c$i"; i=$((i + 1)); done
check "a class of many" 0 "^1 step," $figment train "$work/tiny_infogan.figment" --data "$work/many" --classes c1009 --batch 1 --steps 1
check "has one picture" 1 "larger than the data: --batch 1 at most" $figment train "$work/tiny_infogan.figment" --data "$work/many" --classes c1009 --batch 2 --steps 1
mkdir -p "$work/pets/cat" "$work/pets/dog"
cp "$pictures/a/ramp.png" "$work/pets/cat"; cp "$pictures/a/ramp.png" "$work/pets/dog"; cp "$pictures/a/ramp.png" "$work/pets/zebra.png"
check "a picture beside subfolders" 1 "of no classes, since zebra.png lies beside the subfolders" $figment train "$work/tiny_infogan.figment" --data "$work/pets" --classes dog --batch 1 --steps 1
rm "$work/pets/zebra.png"
mkdir "$work/pets/.cache"; cp "$pictures/a/ramp.png" "$work/pets/.cache"; printf x > "$work/pets/cat/._1.png"
check "hidden files and folders" 0 "2 pictures in 2 classes (cat, dog)" $figment train "$work/tiny_infogan.figment" --data "$work/pets" --batch 1 --steps 1
check "a picture among the data" 1 "would lie among the data" $figment train "$work/tiny_infogan.figment" --data "$work/pets" --batch 1 --steps 1 --preview "$work/pets/cat/2.png"
check "a report among the data" 1 "would lie among the data" $figment train "$work/tiny_infogan.figment" --data "$work/pets" --batch 1 --steps 1 --report "$work/pets"
# Nothing that is read is written over.
cp "$work/series.csv" "$work/kept.csv"
for what in "score $work/sensor.figment --data $work/kept.csv -o $work/kept.csv" "project $models/tiny_vae.figment --data $work/kept.csv -o $work/kept.csv" \
  "train $crgan --data $work/kept.csv --normalize --preview $work/kept.csv --steps 1" "train $crgan --data $work/kept.csv --normalize --out $crgan --steps 1"; do
  check "$what" 1 "would be overwritten\|is there, and no Figment model" $figment $what
done
expect "the data is as it was" 'cmp -s "$work/series.csv" "$work/kept.csv"'
sed '1s/.*/time,temperature of the inlet water pipe one,temperature of the inlet water pipe two/' "$work/sensor.csv" > "$work/alike.csv"
check "names that a model cannot tell apart" 1 "alike in the first 31 bytes" $figment train "$crgan" --data "$work/alike.csv" --time-column time --normalize --steps 1
# In other units, without a column, in another order.
sed '1s/°C/K/' "$work/sensor.csv" > "$work/kelvin.csv"
check "other units" 1 "temp (K) is in other units than the model's, temp (°C)" $figment score "$work/sensor.figment" --data "$work/kelvin.csv" --time-column time
cut -d, -f1,2 "$work/sensor.csv" > "$work/less.csv"
check "a column that is missing" 1 "has no column hum, which the model knows" $figment score "$work/sensor.figment" --data "$work/less.csv" --time-column time
awk -F, '{ print $3 "," $1 "," $2 }' "$work/sensor.csv" > "$work/turned.csv"
$figment score "$work/sensor.figment" --data "$work/turned.csv" --time-column time -o "$work/turned_scores.csv" > "$work/out" 2>&1
expect "the order of columns does not matter" 'cmp -s "$work/scores.csv" "$work/turned_scores.csv"'
check "ranges of new data" 1 "the model keeps no ranges of what it was trained on" $figment score "$crgan" --data "$work/series.csv" --normalize
summary
