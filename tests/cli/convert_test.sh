#!/bin/sh
# ONNX files, and their report.
. "$(dirname "$0")/check.sh"
exported=$data/exported
printf 'hello' > "$work/broken"
check "a size of no dimension" 1 "--dim tme=5: no input has an open dimension of that name; there are" $convert "$exported/script_g.onnx" --dim tme=5 -o "$work/reopened.figment"
check "a length that nothing has" 1 "no dimension of the inputs stays open beside the batch" $convert "$exported/script_g.onnx" --length 5 -o "$work/reopened.figment"
check "a length of a model of ours" 1 "convert it from its source" $convert "$models/dcgan.figment" --length 5 -o "$work/reopened.figment"
check "the report of a batch that was fixed" 0 "note: .*fixed_g.onnx: the batch, which the exporter has fixed at" $convert "$exported/fixed_g.onnx" -o "$work/reopened.figment"
check "weights in f16" 0 "weights are stored in f16, each at most" $convert "$onnx/dgan/generator.onnx" --f16 -o "$work/f16.figment" --report "$work/f16.txt"
check "f16 trains not" 1 "train first" $convert "$onnx/gan/recipe.json" --f16 -o "$work/x.figment"
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
$figment generate "$models/tiny_vae.figment" --seed 1 -n 40 -o "$work/vae.npy"
$figment train "$models/tiny_vae.figment" --data "$work/vae.npy" --batch 8 --steps 12 --checkpoint "$work/run" --out "$work/straight.figment" > "$work/out" 2>&1
check "quantize a trained model" 0 "PSNR" "$convert" "$work/straight.figment" --int8 -o "$work/q.figment"
check "quantize a recurrent generator" 0 "PSNR" "$convert" "$models/tiny_crgan.figment" --int8 -o "$work/q3.figment" --psnr-goal 0
check "quantize a checkpoint" 0 "PSNR" "$convert" "$models/tiny_vae.figment" --checkpoint "$work/run" --int8 -o "$work/q2.figment" --name tiny_vae
check "a checkpoint of no model" 1 "takes the .figment model" "$convert" "$onnx/dcgan/generator.onnx" --checkpoint "$work/run" -o "$work/x.figment"
# What the model was trained on calibrates it: a table in its units, columns in any order, readings beyond the range.
awk 'BEGIN { print "time,temp (°C),hum (%)"; for (i = 0; i < 120; ++i) printf "%02d:00,%.3f,%.3f\n", i % 24, 20 + 5 * sin(i / 4), 50 + 10 * cos(i / 4) }' > "$work/sensor.csv"
$figment train "$models/tiny_crgan.figment" --data "$work/sensor.csv" --time-column time --normalize --steps 3 --batch 8 --out "$work/sensor.figment" > "$work/out" 2>&1
awk -F, 'NR == 50 { $2 = 26 } { print $3 "," $1 "," $2 }' "$work/sensor.csv" > "$work/turned.csv"
check "calibrate on measurements" 0 "PSNR" "$convert" "$work/sensor.figment" --int8 --psnr-goal 0 --want-snr 0 --calibration-data sample="$work/turned.csv" --time-column time -o "$work/sensor8.figment"
sed '1s/°C/K/' "$work/sensor.csv" > "$work/kelvin.csv"
check "and score by int8" 0 "windows by their negative output of the discriminator" $figment score "$work/sensor8.figment" --data "$work/sensor.csv" --time-column time
check "in their units" 1 "is in other units than the model's, temp (°C)" "$convert" "$work/sensor.figment" --int8 --calibration-data sample="$work/kelvin.csv" --time-column time -o "$work/x.figment"
# For firmware: sources, a file that is int8 already, plans and no names.
check "embed a model" 0 "sample .N, 1, 28, 28." "$convert" "$onnx/gan/gan_int8.figment" --embed-c "$work/embedded" --strip
expect "its sources are there" 'grep -q "GAN_SESSION_BYTES" "$work/embedded/gan.h" && grep -q "fig_op_fully_connected" "$work/embedded/gan.c"'
expect "with no kernel that it does not need" '! grep -q "fig_op_conv2d" "$work/embedded/gan.c"'
check "embed what has a condition" 0 "" "$convert" "$onnx/cdcgan/cdcgan.figment" --embed-c "$work/embedded" -q
expect "its header names it" 'grep -q "CDCGAN_INPUT_LABEL_ELEMENTS 10" "$work/embedded/cdcgan.h"'
check "embed under the name of a system's header" 0 "" "$convert" "$onnx/gan/gan_int8.figment" --embed-c "$work/embedded" --name math -q
expect "beside which it is" 'test -f "$work/embedded/model_math.h" && ! test -f "$work/embedded/math.h"'
check "embed weights in f16" 1 "leave out --f16" "$convert" "$onnx/cdcgan/cdcgan.figment" --f16 --embed-c "$work/embedded"
check "a level of what does not train" 1 "for a model that trains" "$convert" "$models/tiny_vae.figment" --strip --level 1 -o "$work/x.figment"
check "micro-batches without a plan" 1 "for --plan" "$convert" "$models/tiny_vae.figment" --keep-training --micro-batch 2 -o "$work/x.figment"
check "an int8 form of a recipe" 1 "write that first" "$convert" "$data/recipes/tiny_vae.json" --int8 --keep-training -o "$work/x.figment"
check "adapters beside what else is frozen" 1 "leave out --freeze" "$convert" "$data/recipes/tiny_vae.json" --start-from "$models/tiny_vae.figment" --adapters lora:2 --freeze "decoder.0.*" -o "$work/x.figment"
check "and of another network" 0 "" "$convert" "$data/recipes/tiny_vae.json" --start-from "$models/tiny_vae.figment" --adapters encoder:lora:2 --freeze "decoder.0.*" -o "$work/x.figment" -q
check "adapters larger than the layers" 1 "give a lower rank" "$convert" "$data/recipes/tiny_vae.json" --start-from "$models/tiny_vae.figment" --int8-base --adapters lora:64 -o "$work/x.figment"
check "embed what is quantized first" 0 "dB PSNR" "$convert" "$onnx/dcgan/generator.onnx" --int8 --embed-c "$work/embedded" --plan batch=2 --name two --strip
expect "for its batch" 'grep -q "TWO_BATCH 2" "$work/embedded/two.h"'
check "strip a file" 0 "" "$convert" "$onnx/gan/gan_int8.figment" --strip --plan batch=1,4 -o "$work/stripped.figment" -q
$figment generate "$onnx/gan/gan_int8.figment" --seed 3 -n 2 -o "$work/whole.npy"
$figment generate "$work/stripped.figment" --seed 3 -n 2 -o "$work/bare.npy"
expect "it generates the same" 'cmp -s "$work/whole.npy" "$work/bare.npy"'
check "strip a model that trains" 0 "" "$convert" "$models/tiny_vae.figment" --keep-training --strip --plan batch=8 -o "$work/bare_vae.figment" -q
check "it trains" 0 "" $figment train "$work/bare_vae.figment" --data "$work/vae.npy" --batch 8 --steps 2 --out "$work/x2.figment"
check "freeze a layer" 0 "" "$convert" "$data/recipes/tiny_vae.json" --freeze "encoder.0.*" --strip -o "$work/frozen.figment" -q
check "and keep another level" 0 "" "$convert" "$data/recipes/tiny_vae.json" --freeze "encoder.0.*" --strip --level 1 --programs generate -o "$work/frozen1.figment" -q
check "that trains" 0 "" $figment train "$work/frozen1.figment" --data "$work/vae.npy" --batch 8 --steps 1 --checkpoint "$work/frozen.run"
check "its checkpoint is that of the whole model" 0 "" "$convert" "$work/frozen.figment" --checkpoint "$work/frozen.run" -o "$work/x3.figment" -q
check "keep some programs" 0 "" "$convert" "$models/tiny_vae.figment" --keep-training --programs generate -o "$work/some.figment" -q
check "and say only them" 0 "generate, .*train.step" sh -c "'$convert' '$models/tiny_vae.figment' --keep-training --programs generate --strip --plan batch=8 -o '$work/some2.figment' | tr '\\n' ' ' | grep -v encode"
check "what is left of a model" 1 "encode" $figment run "$work/some.figment" --program encode
check "it generates" 0 "" $figment generate "$work/some.figment" -n 2 -o "$work/some.npy"
check "a program that there is not" 1 "it has generate, encode" "$convert" "$models/tiny_vae.figment" --keep-training --programs paint -o "$work/x.figment"
check "a level that there is not" 1 "no such level" "$convert" "$models/tiny_gan.figment" --keep-training --strip --level 9 -o "$work/x.figment"
# A model that trains with its int8 form.
check "carry the int8 form" 0 "sessions write what they train in int8" "$convert" "$models/tiny_vae.figment" --int8 --keep-training --strip --embed-c "$work/embedded" -o "$work/form.figment"
expect "its header says what it takes" 'grep -q "TINY_VAE_REQUANTIZE_BYTES" "$work/embedded/tiny_vae.h" && grep -q "TINY_VAE_INT8_BYTES" "$work/embedded/tiny_vae.h"'
expect "with the kernels of both" 'grep -q "fig_op_adam_update" "$work/embedded/tiny_vae.c" && grep -q "fig_op_quantize" "$work/embedded/tiny_vae.c"'
check "it trains, too" 0 "" $figment train "$work/form.figment" --data "$work/vae.npy" --batch 8 --steps 2 --checkpoint "$work/form.run" --out "$work/form2.figment"
check "the int8 form of what was trained" 0 "dB of signal to noise" "$convert" "$work/form2.figment" --int8 -o "$work/form8.figment"
check "and of its checkpoint" 0 "" "$convert" "$work/form.figment" --int8 --checkpoint "$work/form.run" -o "$work/form9.figment" -q
expect "are the same bytes" 'cmp -s "$work/form8.figment" "$work/form9.figment"'
check "it generates in int8" 0 "" $figment generate "$work/form8.figment" -n 2 -o "$work/form8.npy"
check "an int8 form of other samples" 1 "no other samples" "$convert" "$models/tiny_vae.figment" --int8 --keep-training --calibration-data latent="$work/vae.npy" -o "$work/x.figment"
check "other choices than its form's" 1 "carries its int8 form" "$convert" "$work/form.figment" --int8 --calibrate 64 -o "$work/x.figment"
check "an int8 form of what does not generate" 1 "none of its programs generates" "$convert" "$models/tiny_classifier.figment" --int8 --keep-training -o "$work/x.figment"
check "a form that quality options came too late for" 1 "carries its int8 form" "$convert" "$work/form.figment" --int8 --psnr-goal 90 -o "$work/x.figment"
check "worse than is wanted" 0 "less than 90: " "$convert" "$work/form.figment" --int8 --want-snr 90 -o "$work/x.figment"
check "some programs and the form" 0 "" "$convert" "$work/form.figment" --keep-training --programs encode -o "$work/some8.figment" -q
check "which it still writes" 0 "" "$convert" "$work/some8.figment" --int8 -o "$work/x8.figment" -q
check "a level without --strip" 1 "give both" "$convert" "$models/tiny_gan.figment" --keep-training --level 1 -o "$work/x.figment"
check "an int8 form beside an int8 base" 1 "figment apply" "$convert" "$models/tiny_adapted.figment" --int8 --keep-training -o "$work/x.figment"
check "an int8 form of what does not train" 1 "nothing to keep" "$convert" "$models/dcgan.figment" --int8 --keep-training -o "$work/x.figment"
check "no file and no folder" 1 "name the file to write" "$convert" "$onnx/dcgan/generator.onnx"
check "a plan for nothing" 1 "give batch=N" "$convert" "$onnx/dcgan/generator.onnx" --plan batch=0 -o "$work/x.figment"
check "training of an ONNX file" 1 "takes a .figment model" "$convert" "$onnx/dcgan/generator.onnx" --keep-training -o "$work/x.figment"
summary
