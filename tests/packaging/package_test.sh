#!/bin/sh
# Holds the Debian packages to what users and Debian expect of them.
# usage: package_test.sh PACKAGES ARCHITECTURE SYSROOT SOURCE TRIPLE LAUNCHER...
# LAUNCHER starts programs of the architecture. Needs lintian, clang-19, cmake, ninja and pkg-config.
set -eu
packages=$(readlink -f "$1") architecture=$2 sysroot=$(readlink -f "$3") source=$(readlink -f "$4") triple=$5
shift 5
launcher=$*
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run() { LD_LIBRARY_PATH=$work/root/usr/lib/$triple $launcher "$@"; }
fail() { echo "package_test: $*" >&2; exit 1; }

names="libfigment0 libfigment-dev figment-tools python3-figment"
files=
for name in $names; do
  found=$(ls "$packages/$name"_*_"$architecture".deb "$packages/$name"_*_all.deb 2> /dev/null) || true
  [ "$(echo "$found" | wc -l)" = 1 ] && [ -f "$found" ] || fail "there is no $name for $architecture"
  files="$files $found"
done

# Nothing to complain of.
said=$(lintian --fail-on error,warning $files 2>&1 | grep -v 'root privileges') || true
[ -z "$said" ] || fail "lintian: $said"

# Unpacked over what they depend on: nothing of the machine that built them.
root=$work/root
mkdir "$work/only"
for file in $files; do dpkg-deb -x "$file" "$work/only"; done
if grep -rlF -e "$source" -e "$sysroot" -e "$HOME/" -e sysroot- -e manylinux "$work/only" --exclude=fetch_debian.sh --exclude=sysroot_toolchain.cmake; then
  fail "these files hold a path of the machine that built them"
fi
for file in "$work"/only/usr/bin/* "$work"/only/usr/lib/"$triple"/libfigment.so.0.*; do
  llvm-readelf-19 -d "$file" | grep -E 'RPATH|RUNPATH' && fail "$file looks for libraries in a folder of its own"
  interpreter=$(llvm-readelf-19 -p .interp "$file" 2> /dev/null | grep -o '/.*' || true)
  case $interpreter in '' | /lib/ld-linux* | /lib64/ld-linux*) ;; *) fail "$file starts by $interpreter" ;; esac
done
llvm-readelf-19 -d "$work"/only/usr/lib/"$triple"/libfigment.so.0.* | grep -q 'soname: \[libfigment.so.0\]' || fail "another SONAME"

# Every command has its page, every option its completion.
cp -a "$sysroot/." "$root"
cp -a "$work/only/." "$root"
for command in $(sed -n 's/.*case \$word in \(.*\)) command.*/\1/p' "$root/usr/share/bash-completion/completions/figment" | tr '|' ' '); do
  zcat "$root/usr/share/man/man1/figment-$command.1.gz" | grep -q "^figment-$command .- " || fail "figment-$command has no manual page"
done
for program in figment figment-convert; do
  run "$root/usr/bin/$program" --version | grep -q "$(sed 's/.*"\(.*\)"/\1/' "$root/usr/lib/python3/dist-packages/figment/_version.py")" || fail "$program does not start"
  bash -n "$root/usr/share/bash-completion/completions/$program"
done
for option in $(run "$root/usr/bin/figment-convert" --help | grep -o '^  -[^ ]*' | tr , ' '); do
  grep -q -e "$option" "$root/usr/share/bash-completion/completions/figment-convert" || fail "figment-convert's $option is not completed"
done

# Programs outside the tree: by find_package and by pkg-config, in C and in C++.
mkdir "$work/app"
awk '$0 == "```c" { on = ++seen == 1; next } $0 == "```" { on = 0 } on' "$source/docs/c_api.md" > "$work/app/main.c"
{ echo '#include <figment/figment.hpp>'; echo 'int main(int, char** arguments) {'
  echo '  try { fig::Model model(arguments[1]); fig::Session session(model); return session.generate(2).size() == 2 * 784 ? 0 : 1; } catch (const fig::Error&) { return 2; }'
  echo '}'; } > "$work/app/main.cpp"
cat > "$work/app/CMakeLists.txt" << 'TEXT'
cmake_minimum_required(VERSION 3.25)
project(app LANGUAGES C CXX)
find_package(figment REQUIRED)
add_executable(in_c main.c)
target_link_libraries(in_c PRIVATE figment::runtime_shared)
add_executable(in_c_static main.c)
target_link_libraries(in_c_static PRIVATE figment::runtime)
add_executable(in_cpp main.cpp)
target_link_libraries(in_cpp PRIVATE figment::runtime_shared)
TEXT
flags="--target=$triple --sysroot=$root --gcc-install-dir=$root/usr/lib/gcc/$triple/14"
cmake -S "$work/app" -B "$work/app/build" -G Ninja -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_SYSROOT="$root" \
  -DCMAKE_FIND_ROOT_PATH="$root" -DCMAKE_LIBRARY_ARCHITECTURE="$triple" -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_SYSTEM_NAME=Linux \
  -DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --build "$work/app/build" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
export PKG_CONFIG_LIBDIR="$root/usr/lib/$triple/pkgconfig" PKG_CONFIG_SYSROOT_DIR=""
clang-19 $flags -fuse-ld=lld "$work/app/main.c" -o "$work/app/build/by_pkg_config" $(pkg-config --cflags --libs figment) > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
model=$source/tests/data/dcgan_int8.figment
for program in in_c in_c_static by_pkg_config; do
  run "$work/app/build/$program" "$model" 7 "$work/$program.pgm" > "$work/log" 2>&1 || { cat "$work/log"; fail "$program does not run"; }
  cmp "$work/$program.pgm" "$work/in_c.pgm"
done
run "$work/app/build/in_cpp" "$model" || fail "the program in C++ ends with $?"
echo "package_test: $architecture passed"
