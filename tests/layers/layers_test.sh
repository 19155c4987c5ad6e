#!/bin/sh
# Holds the layers of the runtime and of the converter to what CONTRIBUTING.md draws: a file includes only files of its own
# layer and of the layers that are allowed to it here. Argument: the project's folder.
set -eu
cd "$1"
failed=0
listed=

# layer FOLDER ALLOWED...: folders, as they stand in includes.
layer() {
  folder=$1
  shift
  listed="$listed $folder "
  [ -d "$folder" ] || { echo "layers_test: there is no $folder" >&2; exit 1; }
  own=$(basename "$folder")
  for file in $(find "$folder" -maxdepth "${depth:-9}" -name '*.h' -o -maxdepth "${depth:-9}" -name '*.cpp'); do
    for include in $(sed -n 's/^#include "\([^"]*\)\/[^"/]*".*/\1/p' "$file"); do
      top=${include%%/*}
      allowed=no
      for name in "$own" "$@"; do [ "$top" = "$name" ] && allowed=yes; done
      if [ $allowed = no ]; then
        echo "layers_test: $file includes $include/, which is not below $own" >&2
        failed=1
      fi
    done
  done
}

layer runtime/core
layer runtime/platform core
layer runtime/format figment core platform
layer runtime/kernels figment core platform format
layer runtime/plan figment core
layer runtime/session figment core platform format kernels plan
layer runtime/training core platform format kernels session
layer runtime/api figment core platform format session training
layer runtime/io core platform
layer runtime/evaluation
layer runtime/cli figment core io evaluation

layer converter/ir figment core format io
layer converter/write figment core format io ir
layer converter/import core format io ir write
layer converter/passes core format io ir write
layer converter/objectives core format io ir passes
layer converter/recipe core format io ir import objectives
depth=1 layer converter figment core format io ir write import passes objectives recipe

# Files are read through views: FlatBuffers' types are known where those are made, and where files are.
for file in $(grep -rlE '"model_generated.h"|flatbuffers/' runtime converter --include='*.h' --include='*.cpp'); do
  case $file in runtime/format/* | converter/write/*) ;; *) echo "layers_test: $file knows the types of FlatBuffers" >&2; failed=1 ;; esac
done

for folder in runtime/*/ converter/*/; do
  folder=${folder%/}
  case "$listed runtime/include converter/cli " in *" $folder "*) ;; *) echo "layers_test: $folder has no layer" >&2; failed=1 ;; esac
done
exit $failed
