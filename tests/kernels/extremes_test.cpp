// Functions and normalizations of extreme values, against double precision on both kernel sets.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "functions.h"
#include "step_builder.h"

using namespace figment;
using namespace figment::kernels;
using namespace figment::test;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kLeastNormal = std::numeric_limits<float>::min();
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();

std::vector<float> extremes() {
  std::vector<float> values;
  for (float magnitude : {0.0F,         kDenormal, kLeastNormal / 2,
                          kLeastNormal, 1e-30F,    1e-7F,
                          3e-4F,        0.5F,      1.0F,
                          2.5F,         10.0F,     18.0F,
                          50.0F,        86.9F,     88.0F,
                          88.7F,        89.0F,     103.0F,
                          120.0F,       1e4F,      1e19F,
                          8.6e37F,      kMax,      kInfinity}) {
    values.push_back(magnitude);
    values.push_back(-magnitude);
  }
  values.push_back(std::numeric_limits<float>::quiet_NaN());
  return values;
}

// How far a result may be from the right one: relative to that, and beyond it.
struct Bound {
  double relative;
  double absolute;
};

// Whether `actual` is `expected` within the bound. What is smaller than the least normal number may be 0: 32-bit ARM's
// vectors flush it.
bool is_right(float actual, double expected, const Bound& bound) {
  if (std::isnan(expected)) return std::isnan(actual);
  const auto rounded = static_cast<float>(expected);
  if (std::isinf(rounded)) {
    // At the edge of the range the bound decides between the largest number and infinity.
    return actual == rounded || (!std::isinf(expected) && std::fabs(static_cast<double>(actual)) >=
                                                              static_cast<double>(kMax) * (1 - bound.relative));
  }
  const double error = std::fabs(static_cast<double>(actual) - expected);
  return error <= bound.relative * std::fabs(expected) + bound.absolute + static_cast<double>(kLeastNormal);
}

}  // namespace

TEST_CASE("functions of extreme values are those of double precision, wherever they stand in a vector") {
  std::vector<float> values = extremes();
  for (int exponent = -149; exponent < 128; ++exponent) {
    for (const float factor : {1.0F, -1.0F, 1.37F, -1.37F}) values.push_back(std::ldexp(factor, exponent));
  }
  for (const RightFunction& function : right_functions()) {
    for (const KernelSet set : {KernelSet::kBest, KernelSet::kPortable}) {
      for (const size_t shift : {0U, 5U, 40U}) {
        StepBuilder builder(function.kind);
        Operand& x = builder.add(DataType::kF32, {values.size() + shift});
        for (size_t i = 0; i < x.elements(); ++i)
          static_cast<float*>(x.data)[i] = i < shift ? 0.25F : values[i - shift];
        builder.step.output = x;
        builder.step.attributes.alpha = 0.2F;
        if (function.kind == OpKind::kClamp)
          builder.step.attributes.clamp_min = -1, builder.step.attributes.clamp_max = 2;
        std::string name;
        const std::vector<uint8_t> bytes = builder.run(set, &name);
        const auto right = [&](double given) { return function.value(builder.step.attributes, given); };
        const Bound bound{function.relative, function.absolute};
        for (size_t i = 0; i < values.size(); ++i) {
          const double given = static_cast<double>(values[i]);
          const float actual = as_floats(bytes)[i + shift];
          const bool flushed = std::fabs(given) < static_cast<double>(kLeastNormal) &&
                               is_right(actual, right(std::copysign(0.0, given)), bound);
          CHECK_MESSAGE((is_right(actual, right(given), bound) || flushed), format::name_of(function.kind), "(",
                        values[i], ") = ", actual, " on ", name, ", not ", right(given));
        }
      }
    }
  }
}

namespace {

// Rows for normalizations: extremes among ordinary values, alone, and all alike.
std::vector<std::vector<float>> extreme_rows() {
  std::vector<std::vector<float>> rows;
  for (float value : extremes()) {
    rows.push_back({0.5F, value, -1.0F, 2.0F, 0.25F, -0.5F});
    rows.push_back({value, value, value, value, value, value});
    rows.push_back({value, -value, value / 2, value, -value / 4, 0});
  }
  rows.push_back({1000, 999, 998, -1000, 0, -kInfinity});
  return rows;
}

// The right softmax of a row, or its logarithm.
std::vector<double> softmax_of(const std::vector<float>& row, bool logarithm) {
  double largest = -std::numeric_limits<double>::infinity();
  for (float x : row) largest = static_cast<double>(x) > largest || std::isnan(x) ? static_cast<double>(x) : largest;
  double sum = 0;
  for (float x : row) sum += std::exp(static_cast<double>(x) - largest);
  std::vector<double> result;
  for (float x : row) {
    const double distance = static_cast<double>(x) - largest;
    result.push_back(logarithm ? distance - std::log(sum) : std::exp(distance) / sum);
  }
  return result;
}

std::vector<double> layer_norm_of(const std::vector<float>& row, double epsilon) {
  long double mean = 0;
  for (float x : row) mean += static_cast<long double>(x) / static_cast<long double>(row.size());
  long double variance = 0;
  for (float x : row)
    variance += (static_cast<long double>(x) - mean) * (static_cast<long double>(x) - mean) /
                static_cast<long double>(row.size());
  std::vector<double> result;
  for (float x : row) {
    const auto normalized = static_cast<double>((static_cast<long double>(x) - mean) /
                                                std::sqrt(variance + static_cast<long double>(epsilon)));
    result.push_back(normalized * 2 - 1);
  }
  return result;
}

void check_rows(StepBuilder& builder, const std::vector<std::vector<float>>& rows, const Bound& bound,
                const std::function<std::vector<double>(const std::vector<float>&)>& right) {
  const size_t columns = rows[0].size();
  for (size_t r = 0; r < rows.size(); ++r) {
    std::copy(rows[r].begin(), rows[r].end(), static_cast<float*>(builder.operands[0].data) + r * columns);
  }
  for (const KernelSet set : {KernelSet::kBest, KernelSet::kPortable}) {
    std::string name;
    const std::vector<uint8_t> bytes = builder.run(set, &name);
    for (size_t r = 0; r < rows.size(); ++r) {
      const std::vector<double> expected = right(rows[r]);
      for (size_t c = 0; c < columns; ++c) {
        const float actual = as_floats(bytes)[r * columns + c];
        CHECK_MESSAGE(is_right(actual, expected[c], bound), format::name_of(builder.step.kind), " of row ", r,
                      ", with ", rows[r][0], " and ", rows[r][1], ": element ", c, " is ", actual, " on ", name,
                      ", not ", expected[c]);
      }
    }
  }
}

}  // namespace

TEST_CASE("normalizations of extreme values are those of double precision") {
  const std::vector<std::vector<float>> rows = extreme_rows();
  const size_t columns = rows[0].size();
  for (const OpKind kind : {OpKind::kSoftmax, OpKind::kLogSoftmax, OpKind::kLayerNorm}) {
    StepBuilder builder(kind);
    builder.operands.reserve(3);
    builder.add(DataType::kF32, {rows.size(), columns});
    builder.step.output = builder.operands[0];
    builder.step.attributes.alpha = 1e-5F;
    if (kind == OpKind::kLayerNorm) {
      std::fill_n(static_cast<float*>(builder.add(DataType::kF32, {columns}, true).data), columns, 2.0F);
      std::fill_n(static_cast<float*>(builder.add(DataType::kF32, {columns}, true).data), columns, -1.0F);
      check_rows(builder, rows, {1e-6, 1e-6},
                 [](const auto& row) { return layer_norm_of(row, static_cast<double>(1e-5F)); });
    } else {
      builder.step.attributes.axes.push_back(1);
      check_rows(builder, rows, {2e-6, 1e-6},
                 [kind](const auto& row) { return softmax_of(row, kind == OpKind::kLogSoftmax); });
    }
  }
}

// All ways that groups lie in blocks of channels: within one, several in one, over several, and rows that fold or not.
TEST_CASE("group normalization of any width is that of double precision") {
  const size_t cases[][3] = {{130, 2, 9},  {130, 65, 70}, {96, 32, 67}, {64, 64, 5}, {300, 1, 3},
                             {40, 1, 130}, {7, 7, 200},   {1, 1, 131},  {3, 1, 1},   {66, 33, 64}};
  for (const auto& [channels, groups, rows] : cases) {
    test::Random random(channels + groups);
    StepBuilder builder(OpKind::kGroupNorm);
    builder.operands.reserve(3);
    constexpr size_t kSamples = 2;
    float* x = static_cast<float*>(builder.add(DataType::kF32, {kSamples, rows, channels}).data);
    for (size_t i = 0; i < kSamples * rows * channels; ++i)
      x[i] = 0.25F * random.real() + static_cast<float>(i % channels % 5) + (i % 2 == 0 ? 100.0F : 100.5F);
    const std::vector<float> before(x, x + kSamples * rows * channels);
    for (int parameter = 0; parameter < 2; ++parameter) {
      float* values = static_cast<float*>(builder.add(DataType::kF32, {channels}, true).data);
      for (size_t c = 0; c < channels; ++c) values[c] = random.real();
    }
    const float* gamma = builder.operands[1].f32();
    const float* beta = builder.operands[2].f32();
    builder.step.output = builder.operands[0];
    builder.step.attributes.alpha = 1e-5F;
    builder.step.attributes.groups = static_cast<uint32_t>(groups);
    const std::vector<uint8_t> bytes = builder.run(KernelSet::kPortable, nullptr);
    const size_t own = channels / groups;
    for (size_t n = 0; n < kSamples; ++n) {
      for (size_t g = 0; g < groups; ++g) {
        std::vector<size_t> places;
        for (size_t r = 0; r < rows; ++r) {
          for (size_t c = 0; c < own; ++c) places.push_back((n * rows + r) * channels + g * own + c);
        }
        long double mean = 0;
        long double variance = 0;
        for (size_t i : places) mean += static_cast<long double>(before[i]) / static_cast<long double>(places.size());
        for (size_t i : places) {
          const long double distance = static_cast<long double>(before[i]) - mean;
          variance += distance * distance / static_cast<long double>(places.size());
        }
        const long double deviation = std::sqrt(variance + static_cast<long double>(1e-5F));
        for (size_t i : places) {
          const auto normalized = static_cast<double>((static_cast<long double>(before[i]) - mean) / deviation);
          const double right =
              normalized * static_cast<double>(gamma[i % channels]) + static_cast<double>(beta[i % channels]);
          const float actual = as_floats(bytes)[i];
          CHECK_MESSAGE(is_right(actual, right, {2e-5, 2e-5}), channels, " channels, ", groups, " groups, ", rows,
                        " rows: element ", i, " is ", actual, ", not ", right);
        }
      }
    }
  }
}

// A row of the others is a group here: of two channels that share a sample with another group, as columns.
TEST_CASE("group normalization of extreme values is that of double precision") {
  const std::vector<std::vector<float>> rows = extreme_rows();
  const size_t positions = rows[0].size();
  REQUIRE(positions % 2 == 0);
  for (const std::vector<float>& row : rows) {
    StepBuilder builder(OpKind::kGroupNorm);
    builder.operands.reserve(3);
    float* x = static_cast<float*>(builder.add(DataType::kF32, {1, positions / 2, 4}).data);
    for (size_t i = 0; i < positions; ++i) {
      x[i / 2 * 4 + i % 2] = row[i];
      x[i / 2 * 4 + 2 + i % 2] = rows[0][i];
    }
    *static_cast<float*>(builder.add(DataType::kF32, {1}, true).data) = 2;
    std::fill_n(static_cast<float*>(builder.add(DataType::kF32, {4}, true).data), 4, -1.0F);
    builder.step.output = builder.operands[0];
    builder.step.attributes.alpha = 1e-5F;
    builder.step.attributes.groups = 2;
    const std::vector<uint8_t> bytes = builder.run(KernelSet::kPortable, nullptr);
    const std::vector<double> expected[2] = {layer_norm_of(row, static_cast<double>(1e-5F)),
                                             layer_norm_of(rows[0], static_cast<double>(1e-5F))};
    for (size_t i = 0; i < 2 * positions; ++i) {
      const float actual = as_floats(bytes)[i];
      const double right = expected[i % 4 / 2][i / 4 * 2 + i % 2];
      CHECK_MESSAGE(is_right(actual, right, {1e-6, 1e-6}), "with ", row[0], " and ", row[1], ": element ", i, " is ",
                    actual, ", not ", right);
    }
  }
}

// Its statistics are f32: where a square has none, the deviation is infinite, as everywhere in this field.
TEST_CASE("batch normalization of extreme values by given statistics is that of double precision") {
  const std::vector<float> values = extremes();
  for (const float variance : {0.0F, kLeastNormal, 1.0F, 1e30F, kMax}) {
    StepBuilder builder(OpKind::kBatchNorm);
    builder.operands.reserve(4);
    builder.add(DataType::kF32, {values.size(), 1});
    float* statistics = static_cast<float*>(builder.add(DataType::kF32, {2, 1}, true).data);
    statistics[0] = 0.5F;
    statistics[1] = variance;
    *static_cast<float*>(builder.add(DataType::kF32, {1}, true).data) = 1.5F;
    *static_cast<float*>(builder.add(DataType::kF32, {1}, true).data) = -1.0F;
    builder.step.output = builder.operands[0];
    builder.step.attributes.alpha = 1e-5F;
    std::vector<std::vector<float>> rows;
    for (float value : values) rows.push_back({value});
    check_rows(builder, rows, {1e-6, 1e-6}, [variance](const auto& row) {
      const double deviation = std::sqrt(static_cast<double>(variance) + static_cast<double>(1e-5F));
      return std::vector<double>{(static_cast<double>(row[0]) - 0.5) / deviation * 1.5 - 1};
    });
  }
}
