#!/bin/sh
# Lays the library out as a package of another build system, with an example that generates: an Arduino library, a Zephyr module or an
# ESP-IDF component. Arguments: arduino, zephyr or esp_idf; the folder to make; and the build folder of a Cortex-M, from which sources and
# model come. FIGMENT_URL, if set, is where the package says that it comes from.
set -eu
[ $# = 3 ] || { echo "usage: layout.sh arduino|zephyr|esp_idf FOLDER BUILD" >&2; exit 2; }
kind=$1
folder=$2
build=$(cd "$3" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
project=$here/../..
[ -e "$folder" ] && { echo "layout.sh: $folder is there already" >&2; exit 1; }
[ -f "$build/runtime/sources.txt" ] || { echo "layout.sh: $build is no build of a Cortex-M: ./dev build cortex_m7" >&2; exit 1; }
version=$(sed -n 's/.*FIGMENT_VERSION "\(.*\)".*/\1/p' "$build/runtime/include/figment/version.h")

# fill TEMPLATE FILE
fill() { mkdir -p "$(dirname "$2")" && sed "s|@VERSION@|$version|; s|@URL@|${FIGMENT_URL:-}|" "$here/$1" > "$2"; }
# model FOLDER
model() { mkdir -p "$1" && cp "$build/firmware_examples/cortex_m_generate/gan.c" "$build/firmware_examples/cortex_m_generate/gan.h" "$1"; }

mkdir -p "$folder/src/figment"
(cd "$project/runtime" && { cat "$build/runtime/sources.txt"; find api core format kernels/*.h kernels/gemm kernels/portable kernels/recurrent plan platform session training -name '*.h'; }) |
  while read -r file; do
    mkdir -p "$folder/src/$(dirname "$file")"
    cp "$project/runtime/$file" "$folder/src/$file"
  done
cp "$project"/runtime/include/figment/*.h "$project"/runtime/include/figment/*.def "$build/runtime/include/figment/version.h" "$folder/src/figment"
cp "$build/runtime/generated/model_generated.h" "$folder/src"
cp -r "$build/include/flatbuffers/." "$folder/src/flatbuffers"
cp "$project/LICENSE" "$folder"

case $kind in
  arduino)
    # Arduino gives libraries no compiler options, and results are the same bits only where products are rounded before they are added.
    find "$folder/src" -name '*.cpp' -exec sed -i '1i #pragma GCC optimize("fp-contract=off")' {} +
    fill arduino/library.properties "$folder/library.properties"
    fill arduino/generate.ino "$folder/examples/generate/generate.ino"
    model "$folder/examples/generate"
    ;;
  zephyr)
    for file in module.yml CMakeLists.txt Kconfig; do fill "zephyr/$file" "$folder/zephyr/$file"; done
    for file in CMakeLists.txt prj.conf sample.yaml; do fill "zephyr/sample/$file" "$folder/samples/generate/$file"; done
    model "$folder/samples/generate/src"
    { cat "$here/generate.c"; printf '\nint main(void) { return generate(); }\n'; } > "$folder/samples/generate/src/main.c"
    ;;
  esp_idf)
    for file in CMakeLists.txt idf_component.yml; do fill "esp_idf/$file" "$folder/$file"; done
    for file in CMakeLists.txt main/CMakeLists.txt main/idf_component.yml; do fill "esp_idf/example/$file" "$folder/examples/generate/$file"; done
    model "$folder/examples/generate/main"
    { cat "$here/generate.c"; printf '\nvoid app_main(void) { generate(); }\n'; } > "$folder/examples/generate/main/main.c"
    ;;
  *) echo "layout.sh: arduino, zephyr or esp_idf, not $kind" >&2; exit 2 ;;
esac
