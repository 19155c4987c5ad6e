#!/bin/sh
# The shared library exports what figment.h declares, and nothing else; the symbols file of its Debian package lists the
# same. Arguments: nm, readelf, the library, the project's folder.
set -eu
nm=$1 readelf=$2 library=$3 source=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sed -n 's/^FIG_API [^(]*[ *]\(fig_[a-z0-9_]*\)(.*/\1/p' "$source/runtime/include/figment/figment.h" | sort > "$work/declared"
[ "$(wc -l < "$work/declared")" = "$(grep -c '^FIG_API ' "$source/runtime/include/figment/figment.h")" ] || { echo "symbols_test: a declaration of figment.h is not found" >&2; exit 1; }
"$nm" -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort > "$work/exported"
diff "$work/declared" "$work/exported" || { echo "symbols_test: libfigment.so exports (>) other than figment.h declares (<)" >&2; exit 1; }
sed -n 's/^ \(fig_[a-z0-9_]*\)@FIGMENT_0 .*/\1/p' "$source/packaging/debian/libfigment0.symbols" | sort > "$work/listed"
diff "$work/declared" "$work/listed" || { echo "symbols_test: packaging/debian/libfigment0.symbols lists (>) other than figment.h declares (<)" >&2; exit 1; }
"$readelf" -d "$library" | grep -q 'SONAME.*\[libfigment.so.0\]' || { echo "symbols_test: the library's SONAME has changed" >&2; exit 1; }
