#!/bin/sh
# The packages for other build systems have the manifests that these ask for, and their sources compile as they are laid out, for Arm and
# for RISC-V; linked without a library between, too. Arguments: the build folder of a Cortex-M, and the project's.
set -eu
build=$1
project=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
fail() { echo "packages_test: $*" >&2; failed=1; }

for kind in arduino zephyr esp_idf; do
  FIGMENT_URL=https://example.com/figment "$project/firmware_examples/packages/layout.sh" $kind "$work/$kind" "$build"
  diff -r -I "#pragma GCC optimize" "$work/arduino/src" "$work/$kind/src" || fail "$kind has other sources"
  [ -s "$work/$kind/LICENSE" ] || fail "$kind has no licence"
done
grep -rlq "@[A-Z]*@" "$work"/*/*.* && fail "a template is not filled"

# has FILE KEY...: a value for each.
has() {
  file=$1
  shift
  for key in "$@"; do grep -Eq "^ *\"?$key\"? *[=:] *[^ ]" "$work/$file" || fail "$file has no $key"; done
}
has arduino/library.properties name version author maintainer sentence paragraph category url architectures includes dot_a_linkage
grep -Eq '^version=[0-9]+\.[0-9]+\.[0-9]+$' "$work/arduino/library.properties" || fail "library.properties: the version is none"
[ -f "$work/arduino/src/$(sed -n 's/^includes=//p' "$work/arduino/library.properties")" ] || fail "library.properties includes what is not there"
[ -f "$work/arduino/examples/generate/generate.ino" ] || fail "a sketch is called as its folder"
has zephyr/zephyr/module.yml name cmake kconfig
for path in $(sed -n 's/^ *\(cmake\|kconfig\): *//p' "$work/zephyr/zephyr/module.yml"); do [ -e "$work/zephyr/$path" ] || fail "module.yml names $path"; done
has zephyr/samples/generate/sample.yaml name tags
sed -n 's/^CONFIG_\([A-Z0-9_]*\)=y/\1/p' "$work/zephyr/samples/generate/prj.conf" > "$work/set"
for symbol in $(sed -n 's/^	depends on //p' "$work/zephyr/zephyr/Kconfig" | tr -d '&'); do
  grep -qx "$symbol" "$work/set" || fail "prj.conf does not set $symbol"
done
has esp_idf/idf_component.yml version description license idf
for file in zephyr/zephyr/CMakeLists.txt esp_idf/CMakeLists.txt; do grep -q "src" "$work/$file" || fail "$file names no sources"; done

# compile COMPILER OBJECTS FLAG...
compile() {
  compiler=$1
  objects=$2
  shift 2
  mkdir -p "$work/$objects"
  (cd "$work/arduino/src" && find . -name '*.cpp' | sed 's|^\./||' | xargs -P 2 -I{} sh -c \
    'object='"$work/$objects"'/$(echo {} | tr / _).o; '"$compiler $*"' -std=c++20 -Os -ffunction-sections -fdata-sections -fno-exceptions -fno-rtti -I. -c {} -o "$object"') 2> "$work/errors" ||
    { head -40 "$work/errors" >&2; fail "$compiler does not compile the sources"; }
}
arm="-mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard -Wno-psabi"
compile arm-none-eabi-g++ arm "$arm -fno-threadsafe-statics -fno-use-cxa-atexit"
# As Arduino compiles it: nothing is added to a product that has not been rounded.
arm-none-eabi-objdump -d "$work"/arm/*.o > "$work/code"
grep -q "	vmul.f32" "$work/code" || fail "the sources compute no floats"
grep -E "	vf(n)?m[as]\.f32" "$work/code" && fail "products are fused with sums"
# Debian's compiler for RISC-V comes without the C++ library, whose headers are the same.
headers=$(echo /usr/include/newlib/c++/*)
compile riscv64-unknown-elf-g++ riscv "--specs=picolibc.specs -march=rv32imc -mabi=ilp32 -fno-threadsafe-statics -isystem $headers -isystem $headers/arm-none-eabi"

cat > "$work/Arduino.h" << 'TEXT'
#include <stddef.h>
#include <stdint.h>
struct Port { void begin(long); void println(const char*); };
extern Port Serial;
void delay(unsigned long);
TEXT
# shellcheck disable=SC2086  # several flags
arm-none-eabi-g++ $arm -std=gnu++20 -Os -include "$work/Arduino.h" -I"$work/arduino/src" -x c++ -c "$work/arduino/examples/generate/generate.ino" -o "$work/sketch.o" ||
  fail "the sketch does not compile"
for example in zephyr/samples/generate/src esp_idf/examples/generate/main; do
  for file in main gan; do
    # shellcheck disable=SC2086
    arm-none-eabi-gcc $arm -std=c11 -Os -I"$work/arduino/src" -I"$work/$example" -c "$work/$example/$file.c" -o "$work/$file.o" || fail "$example/$file.c does not compile"
  done
  case $example in
    zephyr*)
      # Zephyr links all objects.
      # shellcheck disable=SC2086
      arm-none-eabi-gcc $arm --specs=nosys.specs -Wl,--gc-sections "$work"/arm/*.o "$work/main.o" "$work/gan.o" -lm -o "$work/linked" 2> "$work/errors" ||
        { cat "$work/errors" >&2; fail "all objects together do not link"; }
      ;;
  esac
done
exit $failed
