#!/bin/sh
# Packs a release build into Debian packages, and prints their folder.
# usage: build_packages.sh BUILD SYSROOT ARCHITECTURE OUTPUT-FOLDER [LAUNCHER...]
# BUILD is a build folder of a preset release_*, SYSROOT what it was built against, ARCHITECTURE Debian's: amd64, arm64, armhf.
# LAUNCHER starts the programs, whose help makes man pages and completions. Needs debhelper, dh-python, help2man and the
# architecture's binutils.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(readlink -f "$1") sysroot=$(readlink -f "$2") architecture=$3
mkdir -p "$4"
output=$(readlink -f "$4")
shift 4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=$work/figment-source
mkdir -p "$source/debian/man" "$work/programs"
cp -r "$here/debian/." "$source/debian/"
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")
# The last change's date, so that the same sources make the same packages.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct 2> /dev/null || date +%s)}
export SOURCE_DATE_EPOCH
sed "s/@VERSION@/$version/; s/@DATE@/$(date -u -R -d "@$SOURCE_DATE_EPOCH")/" "$source/debian/changelog.in" > "$source/debian/changelog"
rm "$source/debian/changelog.in"

DESTDIR=$source/staged cmake --install "$build" > "$work/install.log"
python=$source/staged/usr/lib/python3/dist-packages
mkdir -p "$python"
cp -r "$build/python/figment" "$python/"
find "$python" -name __pycache__ -prune -exec rm -r {} +
mkdir "$python/figment-$version.dist-info"
printf 'Metadata-Version: 2.1\nName: figment\nVersion: %s\nSummary: Deep generative models on small devices\n' "$version" > "$python/figment-$version.dist-info/METADATA"

for program in figment figment-convert; do
  printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$*" "$source/staged/usr/bin/$program" > "$work/programs/$program"
  chmod +x "$work/programs/$program"
done
page() {  # page NAME COMMAND WHAT-IT-DOES
  (cd "$work/programs" && help2man -N --version-string="$version" -n "$3" "./$2") | sed "s/^$2 \\\\-/$1 \\\\-/" > "$source/debian/man/$1.1"
}
summary() { "$work/programs/figment" "$1" --help | head -1 | sed 's/^./\L&/'; }
page figment figment "generate with deep generative models, train and inspect them"
page figment-convert figment-convert "make a Figment model of ONNX networks or a recipe"
for command in $("$work/programs/figment" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
  page "figment-$command" "figment $command" "$(summary "$command")"
done
"$here/completions.py" "$source/staged/usr/share" "$work/programs/figment" "$work/programs/figment-convert"
find "$source/staged" -name __pycache__ -prune -exec rm -r {} +
for program in figment figment-convert; do llvm-strip-19 "$source/staged/usr/bin/$program"; done
llvm-strip-19 --strip-unneeded "$source/staged"/usr/lib/*/libfigment.so.*.*
llvm-strip-19 --strip-debug "$source/staged"/usr/lib/*/libfigment.a

# What dpkg would know of the sysroot's packages if they were installed: for the dependencies.
database=$work/dpkg
mkdir -p "$database/info" "$database/updates"
echo 1 > "$database/info/format"
for control in "$sysroot"/.control/*; do
  package=$(basename "$control")
  { sed '1aStatus: install ok installed' "$control/control"; echo; } >> "$database/status"
  case $(sed -n 's/^Multi-Arch: //p' "$control/control") in same) name=$package:$architecture ;; *) name=$package ;; esac
  # Names of files are those of the sysroot, where the libraries are looked for.
  sed "s|^[0-9a-f]*  |$sysroot/|" "$control/md5sums" > "$database/info/$name.list" 2> /dev/null || : > "$database/info/$name.list"
  for kind in symbols shlibs; do
    [ ! -f "$control/$kind" ] || cp "$control/$kind" "$database/info/$name.$kind"
  done
done
cd "$source"
FIGMENT_SHLIBDEPS="--admindir=$database -l$(echo "$sysroot"/usr/lib/*-linux-gnu*)" DEB_BUILD_OPTIONS="nocheck terse" \
  dpkg-buildpackage -a"$architecture" -b -d -nc -us -uc > "$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
rm -f "$output"/*_"$architecture".deb "$output"/*_all.deb
mv "$work"/*.deb "$work"/*.changes "$output/"
echo "$output"
