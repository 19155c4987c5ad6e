#!/bin/sh
# Installs the build into a folder of its own and builds the programs of the README and the manual against it.
# Usage: consumer_test.sh CMAKE BUILD SOURCE TOOLCHAIN-OPTIONS...
set -eu
cmake=$1 build=$2 source=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The manual shows the program as it is, the README one of its own.
sed -n '/^```c$/,/^```$/p' "$source/docs/c_api.md" | sed '1d;$d' > "$work/manual.c"
cmp "$work/manual.c" "$source/firmware_examples/linux_generate/main.c"
sed -n '/^```c$/,/^```$/p' "$source/README.md" | sed '1d;$d' > "$work/readme.c"
"$cmake" --install "$build" --prefix "$work/install" > "$work/log"
"$cmake" -S "$source/tests/consumer" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -Dfigment_DIR="$work/install/lib/cmake/figment" \
  -DMANUAL="$work/manual.c" -DREADME="$work/readme.c" "$@" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$cmake" --build "$work/build" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/build/consumer_runtime" "$build/models/dcgan_int8.figment" 7 "$work/static.pgm"
LD_LIBRARY_PATH=$work/install/lib "$work/build/consumer_runtime_shared" "$build/models/dcgan_int8.figment" 7 "$work/shared.pgm"
cmp "$work/static.pgm" "$work/shared.pgm"
cp "$build/models/dcgan_int8.figment" "$work/model.figment"
(cd "$work" && ./build/consumer_readme) > "$work/picture"
[ "$(wc -l < "$work/picture")" = 28 ] && grep -q '#' "$work/picture"
