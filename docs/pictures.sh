#!/bin/sh
# Makes the README's pictures: a row of samples for each class of the conditional GAN, in f32 and int8, and before and after
# it has been fine-tuned on two new classes (models/fine_tune/new_classes.sh, which runs first).
set -eu
cd "$(dirname "$0")/.."
picture() { build/x86_64/bin/figment generate "$1" --sweep class -n 8 --seed 3 --scale 1 -o "docs/pictures/$2.png"; }
picture models/cdcgan/cdcgan.figment f32
picture models/cdcgan/cdcgan_int8.figment int8
picture build/fine_tune/eight.figment before
picture build/fine_tune/tuned_x86_64_all.figment after
