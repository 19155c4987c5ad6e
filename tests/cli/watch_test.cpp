#include <doctest/doctest.h>

#include <cmath>

#include "watch.h"

using namespace figment::cli;

namespace {

fig_metrics losses(float discriminator) {
  fig_metrics metrics{};
  metrics.count = 1;
  metrics.values[0] = {"d.loss", discriminator};
  return metrics;
}

// The warnings of `steps` steps of one loss.
size_t warnings_of(Watch watch, float discriminator, int steps, const char* part) {
  size_t count = 0;
  for (int i = 0; i < steps; ++i) {
    watch.add(losses(discriminator));
    for (const std::string& warning : watch.warnings()) {
      CHECK(warning.find(part) != std::string::npos);
      ++count;
    }
  }
  return count;
}

}  // namespace

TEST_CASE("a discriminator that has won is named once, with the remedy") {
  CHECK(warnings_of(Watch(true), 0.001F, 5000, "dropout") == 1);
  CHECK(warnings_of(Watch(true), 0.001F, 500, "") == 0);
  CHECK(warnings_of(Watch(true), 1.2F, 5000, "") == 0);
  CHECK(warnings_of(Watch(false), 0.001F, 5000, "") == 0);
}

TEST_CASE("losses that are not finite are named once") {
  CHECK(warnings_of(Watch(true), NAN, 10, "diverged") == 1);
  CHECK(warnings_of(Watch(true), INFINITY, 10, "diverged") == 1);
}

TEST_CASE("the best score is kept, and a collapse is named once") {
  Watch watch(true);
  Best best;
  CHECK(watch.score(10, 100, &best));
  CHECK(!watch.score(12, 200, &best));
  CHECK(watch.warnings().empty());
  CHECK(watch.score(8, 300, &best));
  CHECK(best.step == 300);
  CHECK(!watch.score(100, 400, &best));
  CHECK(!watch.score(NAN, 500, &best));
  CHECK(best.score == 8);
  const std::vector<std::string> warnings = watch.warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("step 300") != std::string::npos);
}
