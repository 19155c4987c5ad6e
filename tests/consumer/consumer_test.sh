#!/bin/sh
# Installs the build into a folder of its own and builds the programs of the README and the manual against it.
# Usage: consumer_test.sh CMAKE BUILD SOURCE TOOLCHAIN-OPTIONS...
set -eu
cmake=$1 build=$2 source=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The manual shows the program as it is, the README one of its own.
# example N: the Nth program of the manual.
example() { awk -v n="$1" '$0 == "```c" { on = ++seen == n; next } $0 == "```" { on = 0 } on' "$source/docs/c_api.md"; }
example 1 > "$work/manual.c"
example 2 > "$work/train.c"
example 3 > "$work/resume.c"
block() { awk -v kind="$1" '$0 == "```" kind { on = 1; next } $0 == "```" { on = 0 } on' "$source/docs/c_api.md"; }
block cpp > "$work/resume.cpp"
# The header's own example.
{ printf '#include "figment/figment.h"\n#include <stdlib.h>\nstatic float pixels[16 * 28 * 28];\nstatic void die(const char* text) { exit(text != 0); }\nint main(void) {\n'
  sed -n '/^ \*   fig_model\* model;$/,/^ \*$/p' "$source/runtime/include/figment/figment.h" | sed 's/^ \*//'
  echo '}'; } > "$work/header.c"
cmp "$work/manual.c" "$source/firmware_examples/linux_generate/main.c"
sed -n '/^```c$/,/^```$/p' "$source/README.md" | sed '1d;$d' > "$work/readme.c"
"$cmake" --install "$build" --prefix "$work/install" > "$work/log"
"$cmake" -S "$source/tests/consumer" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -Dfigment_DIR="$work/install/lib/cmake/figment" \
  -DMANUAL="$work/manual.c" -DREADME="$work/readme.c" -DTRAIN="$work/train.c" -DHEADER="$work/header.c" \
  -DRESUME="$work/resume.c" -DRESUME_CPP="$work/resume.cpp" "$@" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$cmake" --build "$work/build" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/build/consumer_runtime" "$build/models/dcgan_int8.figment" 7 "$work/static.pgm"
LD_LIBRARY_PATH=$work/install/lib "$work/build/consumer_runtime_shared" "$build/models/dcgan_int8.figment" 7 "$work/shared.pgm"
cmp "$work/static.pgm" "$work/shared.pgm"
cp "$build/models/dcgan_int8.figment" "$work/model.figment"
(cd "$work" && ./build/consumer_readme) > "$work/picture"
[ "$(wc -l < "$work/picture")" = 28 ] && grep -q '#' "$work/picture"
if [ -x "$build/bin/figment-convert" ]; then
  "$build/bin/figment-convert" -q "$source/models/infogan/recipe.json" -o "$work/infogan.figment"
  "$work/build/consumer_train" "$work/infogan.figment" "$work/checkpoint" > "$work/metrics"
  [ "$(grep -c 'd.loss [0-9.]* *.*g.loss' "$work/metrics")" = 3 ] && [ -f "$work/checkpoint/a.checkpoint" ]
  # Both programs: in one go, and resumed.
  for program in consumer_resume consumer_resume_cpp; do
    run="$work/build/$program $work/infogan.figment"
    export LD_LIBRARY_PATH="$work/install/lib"
    $run "$work/$program.whole" 3 "$work/$program.figment" | tail -1 > "$work/$program.straight"
    $run "$work/$program.part" 2 "$work/$program.figment" > /dev/null
    $run "$work/$program.part" 3 "$work/$program.figment" | tail -1 > "$work/$program.resumed"
    unset LD_LIBRARY_PATH
    cmp "$work/$program.straight" "$work/$program.resumed"
  done
  cmp "$work/consumer_resume.straight" "$work/consumer_resume_cpp.straight"
fi
# A project in C alone, as the manual shows it; --static with pkg-config; no path of this machine in what is installed.
mkdir "$work/c"
block cmake > "$work/c/CMakeLists.txt"
cp "$work/manual.c" "$work/c/main.c"
"$cmake" -S "$work/c" -B "$work/c/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/install" "$@" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$cmake" --build "$work/c/build" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/c/build/app" "$build/models/dcgan_int8.figment" 7 "$work/c.pgm"
cmp "$work/static.pgm" "$work/c.pgm"
if command -v pkg-config > /dev/null; then
  flags=$(PKG_CONFIG_PATH=$work/install/lib/pkgconfig pkg-config --cflags --libs --static figment)
  case $flags in *"-lfigment"*"-lXNNPACK"*"-lstdc++"*) ;; *) echo "pkg-config: $flags" >&2; exit 1 ;; esac
fi
for file in "$work"/install/bin/* "$work"/install/lib/libfigment.so "$work"/install/lib/cmake/figment/* "$work"/install/lib/pkgconfig/*; do
  ! grep -q -e "$source" -e "$build" -e sysroot-amd64 "$file" || { echo "$file holds a path of this machine" >&2; exit 1; }
done
