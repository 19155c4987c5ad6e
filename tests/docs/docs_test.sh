#!/bin/sh
# Holds README.md and docs/ to what the programs do: runs their shell examples, with few steps on stand-ins for data and networks,
# and checks lists, options and links. Usage: docs_test.sh BIN SOURCE
set -u
bin=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "FAILED $*"; failed=1; }

# What the examples find: the programs, the shipped models, data of the right form, networks under the names that they use.
cat > "$work/dev" << 'DEV'
#!/bin/sh
echo "$(dirname "$0")/data"
DEV
chmod +x "$work/dev"
ln -s "$source/models" "$source/firmware_examples" "$work"
mkdir "$work/data"
for set in train t10k; do
  { printf '\000\000\010\003\000\000\000\100\000\000\000\034\000\000\000\034'; head -c $((64 * 784)) "$bin/figment"; } |
    gzip > "$work/data/$set-images-idx3-ubyte.gz"
  { printf '\000\000\010\001\000\000\000\100'; for i in 0 1 2 3 4 5 6 7; do printf '\000\001\002\003\004\005\006\007'; done; } |
    gzip > "$work/data/$set-labels-idx1-ubyte.gz"
done
training=$source/tests/data/training
cp "$source/models/dcgan/generator.onnx" "$source/models/conv_vae/decoder.onnx" "$source/models/conv_vae/encoder.onnx" "$work"
cp "$source/models/conv_vae/encoder.onnx" "$work/e.onnx"
cp "$source/models/conv_vae/decoder.onnx" "$work/d_vae.onnx"
for part in g:generator d:discriminator; do
  cp "$training/dense_gan/${part#*:}.onnx" "$work/${part%%:*}.onnx"
  cp "$training/infogan/${part#*:}.onnx" "$work/${part%%:*}_info.onnx"
done
"$bin/figment" generate "$source/models/vae/vae.figment" -n 4 -o "$work/images.npy"
# block KIND FILE: the code blocks of a kind in a document.
block() { awk -v kind="$1" '$0 == "```" kind { on = 1; next } $0 == "```" { on = 0 } on' "$2"; }
block json "$source/docs/recipes.md" > "$work/recipe.json"

cd "$work" || exit 1
for document in "$source/README.md" "$source"/docs/*.md; do
  block sh "$document" | grep -v '^\./dev ' |
    sed 's/--steps [0-9]*/--steps 2/; s/--samples [0-9]*/--samples 16/' > "$work/commands"
  PATH=$bin:$PATH sh -eu "$work/commands" > "$work/out" 2>&1 || { fail "the commands of $document:"; tail -5 "$work/out"; }
done

# Lists that programs print.
"$bin/figment-convert" --layers > "$work/layers"
block text "$source/docs/recipes.md" > "$work/documented"
cmp -s "$work/layers" "$work/documented" || { fail "docs/recipes.md: not the layers of --layers:"; diff "$work/documented" "$work/layers"; }
"$bin/figment-convert" --ops > "$work/ops"
block text "$source/docs/convert.md" > "$work/documented"
cmp -s "$work/ops" "$work/documented" || { fail "docs/convert.md: not the ops of --ops:"; diff "$work/documented" "$work/ops"; }
for objective in $("$bin/figment-convert" --objectives | sed 's/ .*//'); do
  grep -q "\`$objective\`" "$source/docs/recipes.md" || fail "docs/recipes.md lacks the objective $objective"
done
for loss in $("$bin/figment-convert" --help | sed -n 's/.*{\(non-saturating[^}]*\)}.*/\1/p' | tr , ' '); do
  grep -q "^| \`$loss\`" "$source/docs/train.md" || fail "docs/train.md lacks the loss $loss"
done

# The error of a device that the manual reads.
"$bin/figment" explain $(grep -o 'figment explain [0-9a-f ]*' "$source/docs/cortex_m.md" | sed 's/figment explain//') > "$work/out" ||
  fail "docs/cortex_m.md explains a number that is none"

# Every option that a document names is one of the programs'.
{
  "$bin/figment-convert" --help
  "$bin/figment" --help
  for command in generate run train evaluate score project inspect parameters compare bench; do "$bin/figment" $command --help; done
  # Of the Python package's commands, as their sources have them.
  grep -hoE 'add_argument\((.*, )?"--[a-z-]+"' "$source"/python/figment/*.py | grep -oE -e '--[a-z-]+' | sed 's/$/ /'
} > "$work/help" 2>&1
# (Those of cmake and the compiler are their own.)
for option in $(grep -hvE '^(cmake|clang-19|cc|arm-none-eabi-gcc) ' "$source/README.md" "$source"/docs/*.md | grep -oE -e '--[a-z][a-z0-9-]+' | sort -u); do
  grep -qE -e "$option( |,|\$)" "$work/help" || fail "the documents name $option, which no program has"
done

# Links lead somewhere.
for document in "$source"/*.md "$source"/docs/*.md "$source"/models/*.md "$source"/models/*/README.md; do
  for link in $(grep -ohE '\]\([^)#:]+[)#]|src="[^"]+"' "$document" | sed 's/^\](//; s/[)#]$//; s/^src="//; s/"$//'); do
    [ -e "$(dirname "$document")/$link" ] || fail "$document: there is no $link"
  done
done
[ "$(wc -l < "$source/README.md")" -le 120 ] || fail "README.md is longer than 120 lines"
exit $failed
