#!/bin/sh
# A program that is linked with three ops computes what one with all does, without the code of the others; one without
# the planner runs models whose files carry plans. Arguments: nm, size, the folder of programs, models.
set -eu
nm=$1
size=$2
bin=$3
models=$4

fail() { echo "link_test: $*" >&2; exit 1; }
symbols() { "$nm" -C "$bin/$1"; }

all=$("$bin/link_all" "$models/dgan_planned.figment")
[ "$("$bin/link_few" "$models/dgan_planned.figment")" = "$all" ] || fail "three ops compute something else"
[ "$("$bin/link_few" "$models/dgan.figment")" = "$all" ] || fail "three ops compute something else with the planner"
[ "$("$bin/link_few_planned" "$models/dgan_planned.figment")" = "$all" ] || fail "the carried plan computes something else"

for gone in portable::conv2d portable::adam_update portable::recurrent gemm::multiply xnnpack::kConvolution; do
  symbols link_all | grep -q "$gone" || fail "$gone is not even in the program with all ops"
  ! symbols link_few | grep -q "$gone" || fail "$gone is in the program with three ops"
done
symbols link_few | grep -q plan_memory || fail "the planner has another name now"
! symbols link_few_planned | grep -q plan_memory || fail "the planner is in the program without it"

refused() {
  message=$("$bin/$1" "$models/$2" 2>&1) && fail "$1 runs $2"
  case $message in *"$3"*) ;; *) fail "$1 says of $2: $message" ;; esac
}
refused link_few dcgan.figment "linked without a kernel"
refused link_few_planned dgan.figment "convert with --plan"
for program in link_all link_few link_few_planned; do
  "$size" "$bin/$program" | tail -1 | awk -v name=$program '{printf "%-18s %7d bytes of code and constants\n", name, $1}'
done
