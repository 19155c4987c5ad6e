// Scores of what is unusual, thresholds and votes.
#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "figment/figment.h"
#include "support.h"

using namespace figment::test;

namespace {

bool says(const std::string& part) { return std::string(fig_error_message()).find(part) != std::string::npos; }

struct Opened {
  explicit Opened(const std::string& name, const char* programs = nullptr) {
    REQUIRE_MESSAGE(fig_model_open(model_path(name).c_str(), &model) == FIG_OK, fig_error_message());
    fig_session_options options{};
    options.struct_size = sizeof options;
    options.batch = 4;
    options.program = programs;
    REQUIRE_MESSAGE(fig_session_create(model, &options, &session) == FIG_OK, fig_error_message());
  }
  ~Opened() {
    fig_session_destroy(session);
    fig_model_close(model);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

  fig_model* model = nullptr;
  fig_session* session = nullptr;
};

std::vector<float> samples_of(size_t elements) {
  Random random(3);
  std::vector<float> samples(elements);
  for (float& value : samples) value = (random.real() + 1) / 2;
  return samples;
}

float threshold_of(std::vector<float> scores, double share) {
  float threshold = NAN;
  REQUIRE_MESSAGE(fig_anomaly_threshold(scores.data(), scores.size(), share, &threshold) == FIG_OK,
                  fig_error_message());
  return threshold;
}

}  // namespace

TEST_CASE("models that encode score by the error of reconstructions") {
  const Opened opened("conv_vae", "encode,generate");
  constexpr size_t kCount = 7;
  constexpr size_t kSample = 784;
  std::vector<float> samples = samples_of(kCount * kSample);
  samples[5 * kSample + 3] = NAN;
  std::vector<float> made(samples.size());
  std::vector<float> scores(kCount);
  REQUIRE_MESSAGE(fig_anomaly_scores(opened.session, kCount, samples.data(), samples.size(), made.data(), made.size(),
                                     scores.data(), kCount) == FIG_OK,
                  fig_error_message());
  std::vector<float> expected(samples.size());
  REQUIRE(fig_reconstruct(opened.session, kCount, samples.data(), samples.size(), expected.data(), expected.size()) ==
          FIG_OK);
  for (size_t i = 0; i < kCount; ++i) {
    long double sum = 0;
    for (size_t j = i * kSample; j < (i + 1) * kSample; ++j) {
      const auto difference = static_cast<long double>(samples[j]) - static_cast<long double>(expected[j]);
      sum += difference * difference;
      if (i != 5) CHECK(made[j] == expected[j]);
    }
    if (i == 5)
      CHECK(std::isnan(scores[i]));
    else
      CHECK(static_cast<double>(scores[i]) == doctest::Approx(static_cast<double>(sum / kSample)).epsilon(1e-6));
  }
  CHECK(fig_anomaly_scores(opened.session, kCount, samples.data(), samples.size(), nullptr, 0, scores.data(), kCount) ==
        FIG_INVALID_ARGUMENT);
  CHECK(says("reconstructions"));
  CHECK(fig_anomaly_scores(opened.session, kCount, samples.data(), samples.size(), made.data(), made.size(),
                           scores.data(), kCount - 1) == FIG_INVALID_ARGUMENT);
  CHECK(fig_anomaly_scores(opened.session, kCount, samples.data(), samples.size(), samples.data(), samples.size(),
                           scores.data(), kCount) == FIG_INVALID_ARGUMENT);
  CHECK(says("memory of their own"));
  CHECK(fig_anomaly_scores(opened.session, 0, samples.data(), 0, made.data(), 0, scores.data(), 0) ==
        FIG_INVALID_ARGUMENT);
}

TEST_CASE("others score by their discriminator") {
  const Opened opened("tiny_dcgan");
  constexpr size_t kSample = 64;
  const std::vector<float> samples = samples_of(size_t{3} * kSample);
  std::vector<float> scores(3);
  std::vector<float> outputs(3);
  REQUIRE_MESSAGE(
      fig_anomaly_scores(opened.session, 3, samples.data(), samples.size(), nullptr, 0, scores.data(), 3) == FIG_OK,
      fig_error_message());
  REQUIRE(fig_discriminate(opened.session, 3, samples.data(), samples.size(), outputs.data(), 3) == FIG_OK);
  for (size_t i = 0; i < 3; ++i) CHECK(scores[i] == -outputs[i]);
  std::vector<float> made(samples.size());
  CHECK(fig_anomaly_scores(opened.session, 3, samples.data(), samples.size(), made.data(), made.size(), scores.data(),
                           3) == FIG_INVALID_ARGUMENT);
  CHECK(says("does not encode"));
}

TEST_CASE("a threshold is the least score that a share does not exceed") {
  // As numpy.quantile(..., method="inverted_cdf") gives them.
  const std::vector<float> values = {5, 1, 4, 2, 3};
  CHECK(threshold_of(values, 0) == 1);
  CHECK(threshold_of(values, 0.2) == 1);
  CHECK(threshold_of(values, 0.21) == 2);
  CHECK(threshold_of(values, 0.99) == 5);
  CHECK(threshold_of(values, 1) == 5);
  CHECK(threshold_of({NAN, 2, INFINITY, 1}, 1) == 2);
  // Shares k / n of n scores, whose product with n is not always k in doubles.
  for (size_t n = 1; n < 200; ++n) {
    std::vector<float> scores(n);
    for (size_t i = 0; i < n; ++i) scores[i] = static_cast<float>(i + 1);
    for (size_t k = 1; k <= n; ++k)
      REQUIRE(threshold_of(scores, static_cast<double>(k) / static_cast<double>(n)) == static_cast<float>(k));
  }
  float threshold = 0;
  float none[] = {NAN, INFINITY};
  CHECK(fig_anomaly_threshold(none, 2, 0.5, &threshold) == FIG_INVALID_ARGUMENT);
  CHECK(says("2 scores"));
  CHECK(fig_anomaly_threshold(none, 0, 0.5, &threshold) == FIG_INVALID_ARGUMENT);
  float one[] = {1};
  CHECK(fig_anomaly_threshold(one, 1, 1.5, &threshold) == FIG_INVALID_ARGUMENT);
  CHECK(fig_anomaly_threshold(one, 1, static_cast<double>(NAN), &threshold) == FIG_INVALID_ARGUMENT);
}

TEST_CASE("a vote counts the last scores") {
  const auto alarms = [](uint32_t needed, uint32_t window, const std::vector<float>& scores) {
    fig_anomaly_vote vote = {sizeof(fig_anomaly_vote), 1, needed, window, 0};
    std::string result;
    for (const float score : scores) {
      bool alarm = false;
      REQUIRE(fig_anomaly_alarm(&vote, score, &alarm) == FIG_OK);
      result += alarm ? '!' : '.';
    }
    return result;
  };
  const std::vector<float> scores = {2, 0, 2, 1, NAN, 2, 0, 0, 0};
  CHECK(alarms(1, 1, scores) == "!.!.!!...");
  CHECK(alarms(2, 3, scores) == "..!.!!!..");
  CHECK(alarms(3, 3, scores) == ".........");
  CHECK(alarms(2, 2, scores) == ".....!...");
  CHECK(alarms(32, 32, std::vector<float>(33, 2)) == std::string(31, '.') + "!!");
  for (const auto& [needed, window] : {std::pair{0U, 1U}, {2U, 1U}, {1U, 33U}, {0U, 0U}}) {
    fig_anomaly_vote vote = {sizeof(fig_anomaly_vote), 1, needed, window, 0};
    bool alarm = false;
    CHECK(fig_anomaly_alarm(&vote, 2, &alarm) == FIG_INVALID_ARGUMENT);
    CHECK(vote.history == 0);
  }
  fig_anomaly_vote none = {sizeof(fig_anomaly_vote), NAN, 1, 1, 0};
  bool any = false;
  CHECK(fig_anomaly_alarm(&none, 2, &any) == FIG_INVALID_ARGUMENT);
  // A struct without its history has no place for it.
  fig_anomaly_vote vote = {offsetof(fig_anomaly_vote, history), 1, 1, 1, 0};
  bool alarm = false;
  CHECK(fig_anomaly_alarm(&vote, 2, &alarm) == FIG_INVALID_ARGUMENT);
  CHECK(vote.history == 0);
}
