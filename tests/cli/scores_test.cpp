#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "evaluation/anomalies.h"
#include "evaluation/random_features.h"
#include "evaluation/reservoir.h"
#include "evaluation/scores.h"
#include "support.h"

using namespace figment::evaluation;

namespace {

// Normal values of another seed than anything else uses, by Box and Muller.
Features normal(Eigen::Index rows, Eigen::Index columns, uint64_t seed, double mean = 0, double deviation = 1) {
  std::mt19937_64 random(seed);
  const auto uniform = [&] { return (static_cast<double>(random() >> 11) + 0.5) / 9007199254740992.0; };
  Features result(rows, columns);
  for (Eigen::Index i = 0; i < result.size(); ++i) {
    result.data()[i] =
        static_cast<float>(mean + deviation * std::sqrt(-2 * std::log(uniform())) * std::cos(2 * M_PI * uniform()));
  }
  return result;
}

}  // namespace

TEST_CASE("the Fréchet distance of two normal distributions is what the formula says") {
  // |m1 - m2|^2 + (s1 - s2)^2 in each of the dimensions.
  const Features a = normal(20000, 4, 1);
  const Features b = normal(20000, 4, 2, 3, 2);
  CHECK(frechet_distance(a, b) == doctest::Approx(4 * (9 + 1)).epsilon(0.02));
  CHECK(std::fabs(frechet_distance(a, a)) < 1e-6);
  CHECK(frechet_distance(a, normal(20000, 4, 3)) < 0.01);
}

TEST_CASE("the Fréchet distance sees correlations, and sets may differ in size") {
  Features a = normal(5000, 2, 1);
  Features b = normal(8000, 2, 2);
  b.col(1) = b.col(0);
  // Covariances I and [[1, 1], [1, 1]]: tr = 2 + 2 - 2 sqrt(2).
  CHECK(frechet_distance(a, b) == doctest::Approx(4 - 2 * std::sqrt(2.0)).epsilon(0.05));
}

TEST_CASE("the kernel discrepancy tells sets apart, and does not where they are alike") {
  const Features a = normal(300, 5, 1);
  const Discrepancy alike = kernel_discrepancy(a, normal(300, 5, 2), 100, 7);
  const Discrepancy apart = kernel_discrepancy(a, normal(200, 5, 3, 1), 100, 7);
  CHECK(alike.p_value > 0.02);
  CHECK(apart.p_value == doctest::Approx(1.0 / 101));
  CHECK(apart.squared > 10 * std::fabs(alike.squared));
}

TEST_CASE("the kernel discrepancy is the sum that its definition says") {
  const Features a = normal(6, 3, 1);
  const Features b = normal(5, 3, 2, 0.5);
  const auto k = [](const auto& x, const auto& y) { return std::pow(static_cast<double>(x.dot(y)) / 3 + 1, 3); };
  double expected = 0;
  for (int i = 0; i < 6; ++i) {
    for (int j = 0; j < 6; ++j) expected += i == j ? 0 : k(a.row(i), a.row(j)) / 30;
    for (int j = 0; j < 5; ++j) expected -= 2 * k(a.row(i), b.row(j)) / 30;
  }
  for (int i = 0; i < 5; ++i) {
    for (int j = 0; j < 5; ++j) expected += i == j ? 0 : k(b.row(i), b.row(j)) / 20;
  }
  CHECK(kernel_discrepancy(a, b, 1, 1).squared == doctest::Approx(expected).epsilon(1e-4));
}

TEST_CASE("precision falls with odd samples, recall with missing ones") {
  Features real(400, 2);
  real << normal(200, 2, 1), normal(200, 2, 2, 20);
  Features odd = normal(400, 2, 3);
  odd.bottomRows(200).array() += 200;
  const PrecisionRecall good =
      precision_recall(real, (Features(400, 2) << normal(200, 2, 4), normal(200, 2, 5, 20)).finished(), 3);
  const PrecisionRecall half = precision_recall(real, odd, 3);
  CHECK(good.precision > 0.8);
  CHECK(good.recall > 0.8);
  CHECK(half.precision < 0.55);
  CHECK(half.recall < 0.55);
}

TEST_CASE("the nearest row is found, in blocks of any number") {
  Features to = normal(5000, 3, 1);
  Features from = to.middleRows(4990, 4);
  from.row(2).array() += 1e-3F;
  const std::vector<Neighbor> found = nearest(from, to);
  for (size_t i = 0; i < 4; ++i) CHECK(found[i].index == 4990 + i);
  CHECK(found[2].distance == doctest::Approx(std::sqrt(3) * 1e-3).epsilon(0.2));
}

TEST_CASE("clusters get the classes that suit all of them best") {
  // The first cluster has most of class 0, but so has the second, which has nothing else.
  CHECK(best_map_accuracy({{6, 5}, {9, 0}}) == doctest::Approx(14.0 / 20));
  CHECK(best_map_accuracy({{5, 0, 0}, {5, 0, 0}}) == doctest::Approx(0.5));
  CHECK(best_map_accuracy({}) == 0);
  CHECK(best_map_accuracy({{0, 0}, {0, 0}}) == 0);
  // Against all maps, where there are fewer or more clusters than classes.
  figment::test::Random random(11);
  for (int trial = 0; trial < 50; ++trial) {
    const size_t rows = random.integer(1, 6);
    const size_t columns = random.integer(1, 6);
    std::vector<std::vector<size_t>> counts(rows, std::vector<size_t>(columns));
    size_t total = 0;
    for (std::vector<size_t>& row : counts) {
      for (size_t& count : row) total += count = random.integer(0, 20);
    }
    if (total == 0) continue;
    std::vector<size_t> order(std::max(rows, columns));
    std::iota(order.begin(), order.end(), 0);
    size_t best = 0;
    do {
      size_t right = 0;
      for (size_t i = 0; i < rows; ++i) right += order[i] < columns ? counts[i][order[i]] : 0;
      best = std::max(best, right);
    } while (std::next_permutation(order.begin(), order.end()));
    CHECK(best_map_accuracy(counts) == doctest::Approx(static_cast<double>(best) / static_cast<double>(total)));
  }
  // Sixty classes, each the cluster of another.
  std::vector<std::vector<size_t>> shifted(60, std::vector<size_t>(60, 1));
  for (size_t i = 0; i < 60; ++i) shifted[i][(i * 7 + 3) % 60] = 100;
  CHECK(best_map_accuracy(shifted) == doctest::Approx(60.0 * 100 / (60 * 159)));
}

TEST_CASE("unusual windows are runs, which end at gaps, and what is no number is the highest") {
  const std::vector<double> scores = {0, 3, 5, 4, 0, 2, 2, NAN, 1, 9};
  const std::vector<bool> alarms = {false, true, true, true, false, true, true, true, false, true};
  const auto whole = [](size_t) { return true; };
  const auto places = [](const std::vector<Run>& runs) {
    std::vector<std::vector<size_t>> result;
    for (const Run& run : runs) result.push_back({run.first, run.last, run.peak});
    return result;
  };
  CHECK(places(unusual_runs(scores, alarms, whole)) ==
        std::vector<std::vector<size_t>>{{1, 3, 2}, {5, 7, 7}, {9, 9, 9}});
  // Windows 2 and 3 do not adjoin.
  CHECK(places(unusual_runs(scores, alarms, [](size_t i) { return i != 2; })) ==
        std::vector<std::vector<size_t>>{{1, 2, 2}, {3, 3, 3}, {5, 7, 7}, {9, 9, 9}});
}

TEST_CASE("errors belong to channels, whichever way they lie") {
  // Three steps of two channels; the second is off by 2 in one step.
  const std::vector<float> sample = {1, 1, 2, 2, 3, 3};
  const std::vector<float> made = {1, 1, 2, 4, 3, 3};
  CHECK(channel_errors(sample, made, 2, 1)[0] == 0);
  CHECK(channel_errors(sample, made, 2, 1)[1] == doctest::Approx(4.0 / 3));
  // The same values as two colors of three pixels: value 3 is of the second.
  CHECK(channel_errors(sample, made, 2, 3)[0] == 0);
  CHECK(channel_errors(sample, made, 2, 3)[1] == doctest::Approx(4.0 / 3));
  CHECK(channel_errors(std::vector<float>{0, 0, 0, 0}, std::vector<float>{1, 1, 0, 0}, 2, 2) ==
        std::vector<double>{1, 0});
}

TEST_CASE("correlation and spectrum") {
  CHECK(correlation({1, 2, 3}, {-2, -4, -6}) == doctest::Approx(-1));
  CHECK(correlation({1, 1, 1}, {1, 2, 3}) == 0);
  Features wave(2, 16);
  for (int t = 0; t < 8; ++t) {
    wave(0, 2 * t) = wave(1, 2 * t) = static_cast<float>(std::cos(2 * M_PI * 2 * t / 8));
    wave(0, 2 * t + 1) = wave(1, 2 * t + 1) = 5;
  }
  const std::vector<double> power = power_spectrum(wave, 8, 2);
  for (size_t k = 0; k < 5; ++k) {
    CHECK(power[k] == doctest::Approx(k == 2 ? 2 : 0));
    CHECK(power[5 + k] == doctest::Approx(0));
  }
}

namespace {

// Sine waves of random phase and `frequency` periods, [count, steps], with normal noise.
Features waves(Eigen::Index count, Eigen::Index steps, double frequency, double noise, uint64_t seed) {
  const Features phases = normal(count, 1, seed, 0, 10);
  Features result = normal(count, steps, seed + 100, 0, noise);
  for (Eigen::Index i = 0; i < count; ++i) {
    for (Eigen::Index t = 0; t < steps; ++t)
      result(i, t) += static_cast<float>(std::sin(
          2 * M_PI * frequency * static_cast<double>(t) / static_cast<double>(steps) + static_cast<double>(phases(i))));
  }
  return result;
}

}  // namespace

TEST_CASE("the discriminative score is 0 for sequences that are alike and 1/2 for others") {
  const SequenceForm form{20, 1};
  const Features real = waves(600, 20, 2, 0.1, 1);
  CHECK(discriminative_score(real, waves(600, 20, 2, 0.1, 2), form) < 0.1);
  CHECK(discriminative_score(real, waves(600, 20, 3, 0.1, 3), form) > 0.45);
  CHECK(discriminative_score(real, normal(600, 20, 4), form) > 0.45);
}

TEST_CASE("the predictive score is the error of predicting real sequences by what made ones teach") {
  const SequenceForm form{20, 1};
  const Features real = waves(600, 20, 2, 0, 1);
  const double alike = predictive_score(real, waves(600, 20, 2, 0, 2), form);
  CHECK(alike < 0.1);  // waves without noise can be predicted, but for their first steps
  CHECK(predictive_score(real, normal(600, 20, 3), form) > 0.4);
  CHECK(predictive_score(real, real, form) == doctest::Approx(alike).epsilon(0.2));
}

TEST_CASE("scores of sequences know features apart") {
  // Two features: the second is the first one step later, or an independent wave.
  const auto pair = [](const Features& a, const Features& b) {
    Features both(a.rows(), 2 * a.cols());
    for (Eigen::Index t = 0; t < a.cols(); ++t) {
      both.col(2 * t) = a.col(t);
      both.col(2 * t + 1) = b.col(t);
    }
    return both;
  };
  const auto follows = [&](uint64_t seed) {
    const Features wave = waves(600, 21, 2.1, 0, seed);
    return pair(wave.rightCols(20), wave.leftCols(20));
  };
  const SequenceForm form{20, 2};
  CHECK(discriminative_score(follows(1), follows(2), form) < 0.1);
  CHECK(discriminative_score(follows(1), pair(waves(600, 20, 2, 0, 3), waves(600, 20, 2, 0, 4)), form) > 0.4);
}

TEST_CASE("random features tell images apart, and are always the same") {
  // Stripes along one axis or the other, of random phase.
  const auto stripes = [](size_t count, bool across, uint64_t seed) {
    std::mt19937_64 random(seed);
    Features images = rows(count, 3 * 9 * 12);
    for (size_t n = 0; n < count; ++n) {
      const auto phase = static_cast<size_t>(random() % 4);
      for (size_t c = 0; c < 3; ++c) {
        for (size_t y = 0; y < 9; ++y) {
          for (size_t x = 0; x < 12; ++x)
            images(static_cast<Eigen::Index>(n), static_cast<Eigen::Index>((c * 9 + y) * 12 + x)) =
                ((across ? y : x) + phase) % 4 < 2 ? 1.0F : -1.0F;
        }
      }
    }
    return images;
  };
  const RandomFeatures network(3, 9, 12);
  const Features a = network.of(stripes(200, false, 1));
  CHECK(a.cols() == RandomFeatures::kFeatures);
  const double same = frechet_distance(a, network.of(stripes(200, false, 2)));
  const double other = frechet_distance(a, network.of(stripes(200, true, 3)));
  CHECK(other > 20 * same);
  // Of any size, down to a pixel.
  for (const size_t size : {1U, 2U, 3U, 5U, 64U}) {
    const Features features =
        RandomFeatures(1, size, size).of(Features::Constant(2, static_cast<Eigen::Index>(size * size), 0.5F));
    CHECK(features.allFinite());
    CHECK(features.row(0) == features.row(1));
  }
  // Scores of another machine compare with these.
  const Features one = RandomFeatures(1, 8, 8).of(Features::Ones(1, 64));
  CHECK(one.sum() == doctest::Approx(412.655).epsilon(1e-4));
}

TEST_CASE("a projection keeps distances") {
  const Features rows_of = normal(40, 3000, 5);
  const Features less = projected(rows_of, 128);
  for (Eigen::Index i = 1; i < 40; ++i) {
    const float ratio = (less.row(0) - less.row(i)).norm() / (rows_of.row(0) - rows_of.row(i)).norm();
    CHECK(std::fabs(ratio - 1) < 0.3F);
  }
}
