#include <doctest/doctest.h>

#include <cmath>

#include "training_monitor.h"

using namespace figment::cli;

namespace {

fig_metrics losses(float discriminator) {
  fig_metrics metrics{};
  metrics.count = 1;
  metrics.values[0] = {"d.loss", discriminator};
  return metrics;
}

std::vector<fig_metric_info> saturating() {
  return {{"d.loss", FIG_METRIC_LOSS, 0.05F}, {"g.loss", FIG_METRIC_LOSS, 0}};
}

// The warnings of `steps` steps of one loss.
size_t warnings_of(TrainingMonitor monitor, float discriminator, int steps, const char* part) {
  size_t count = 0;
  for (int i = 0; i < steps; ++i) {
    monitor.add(losses(discriminator));
    for (const std::string& warning : monitor.warnings()) {
      CHECK(warning.find(part) != std::string::npos);
      ++count;
    }
  }
  return count;
}

}  // namespace

TEST_CASE("a discriminator that has won is reported once, with what helps") {
  CHECK(warnings_of(TrainingMonitor(saturating()), 0.001F, 5000, "dropout") == 1);
  CHECK(warnings_of(TrainingMonitor(saturating()), 0.001F, 500, "") == 0);
  CHECK(warnings_of(TrainingMonitor(saturating()), 1.2F, 5000, "") == 0);
  CHECK(warnings_of(TrainingMonitor({{"d.loss", FIG_METRIC_LOSS, 0}}), 0.001F, 5000, "") == 0);
}

TEST_CASE("losses that are not finite are reported once") {
  CHECK(warnings_of(TrainingMonitor(saturating()), NAN, 10, "diverged") == 1);
  CHECK(warnings_of(TrainingMonitor(saturating()), INFINITY, 10, "diverged") == 1);
}

TEST_CASE("losses that explode are reported once, and large ones that always were so are not") {
  TrainingMonitor monitor(saturating());
  for (int i = 0; i < 20; ++i) monitor.add(losses(0.7F));
  CHECK(monitor.warnings().empty());
  for (int i = 0; i < 20; ++i) monitor.add(losses(5e9F));
  const std::vector<std::string> warnings = monitor.warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("d.loss has become 5e+09: training has diverged") != std::string::npos);
  CHECK(warnings_of(TrainingMonitor(saturating()), 3e7F, 100, "") == 0);
}

TEST_CASE("the best score is kept, and a collapse is reported once") {
  TrainingMonitor monitor(saturating());
  Best best;
  CHECK(monitor.score(10, 100, &best));
  CHECK(!monitor.score(12, 200, &best));
  CHECK(monitor.warnings().empty());
  CHECK(monitor.score(8, 300, &best));
  CHECK(best.step == 300);
  CHECK(!monitor.score(100, 400, &best));
  CHECK(!monitor.score(NAN, 500, &best));
  CHECK(best.score == 8);
  const std::vector<std::string> warnings = monitor.warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("step 300") != std::string::npos);
}
