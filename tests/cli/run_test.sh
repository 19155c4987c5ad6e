#!/bin/sh
# Computing programs on arrays.
. "$(dirname "$0")/check.sh"
info=$models/tiny_infogan.figment
$figment generate "$models/dcgan_int8.figment" -n 4 -o "$work/a.npy"
printf 'hello' > "$work/broken"
$figment generate "$info" -n 3 -o "$work/made_of_info.npy"
check "run without outputs to keep" 0 "category  \[3, 4\]  " $figment run "$info" --program discriminate --input "$work/made_of_info.npy"
check "run with a wrong shape" 1 "expected \[N, 100, 1, 1\]" $figment run "$models/dcgan.figment" --input latent="$work/a.npy" --output "$work/y.npy"
printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 100, 1, 1), }" > "$work/empty.npy"
check "run on no samples" 1 "holds no samples" $figment run "$models/dcgan.figment" --input latent="$work/empty.npy" --output "$work/y.npy"
check "run with a wrong name" 1 "it has latent" $figment run "$models/dcgan.figment" --input noise="$work/a.npy" --output "$work/y.npy"
check "run without input" 1 "latent" $figment run "$models/dcgan.figment" --output "$work/y.npy"
check "an unknown program" 1 "no program paint" $figment run "$models/dcgan.figment" --program paint --output "$work/y.npy"
check "a broken array" 1 "not a .npy" $figment run "$models/dcgan.figment" --input latent="$work/broken" --output "$work/y.npy"
$figment generate "$models/tiny_vae.figment" --seed 9 -n 6 --batch 6 -o "$work/x.npy"
$figment run "$models/tiny_vae.figment" --program encode --batch 6 --input sample="$work/x.npy" --output latent_mean="$work/noise.npy"
check "an output over its input" 1 "would be overwritten" $figment run "$models/tiny_vae.figment" --program encode --input "$work/x.npy" --output latent_mean="$work/x.npy"
check "an input twice" 1 "sample is given twice" $figment run "$models/tiny_vae.figment" --program encode --input "$work/x.npy" --input sample="$work/x.npy"
check "an output without a name" 1 "name the output, NAME=FILE, of latent_mean, latent_log_variance" $figment run "$models/tiny_vae.figment" --program encode --input "$work/x.npy" --output "$work/y.npy"
check "run a train program" 0 "" $figment run "$models/tiny_vae.figment" --program train.step --batch 6 --input sample="$work/x.npy" --input noise="$work/noise.npy" --output vae.loss="$work/loss.npy"
check "explain no number" 1 "zz is no number" $figment explain zz
check "explain an unknown error" 1 "has no error of the number 12345678" $figment explain 12345678
summary
