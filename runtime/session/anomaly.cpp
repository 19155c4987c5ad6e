#include "session/anomaly.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "session/exchange.h"

namespace figment {

Status anomaly_scores(Session* session, size_t count, std::span<const float> samples, std::span<float> reconstructions,
                      std::span<float> scores) {
  if (scores.size() != count) return wrong("%zu samples have as many scores, not %zu", count, scores.size());
  if (!session->model()->find_program("encode").ok()) {
    if (!reconstructions.empty()) return wrong("the model does not encode: there are no reconstructions");
    FIGMENT_RETURN_IF_ERROR(session->apply("discriminate", count, samples, {&scores, 1}));
    for (float& score : scores) score = -score;
    return {};
  }
  if (reconstructions.size() != samples.size()) {
    return wrong("%zu values of samples have as many of reconstructions, not %zu", samples.size(),
                 reconstructions.size());
  }
  if (count > 0 && reconstructions.data() == samples.data())
    return wrong("reconstructions need memory of their own, not that of the samples");
  FIGMENT_RETURN_IF_ERROR(session->reconstruct(count, samples, reconstructions));
  const size_t sample = samples.size() / count;
  for (size_t i = 0; i < count; ++i) {
    double sum = 0;
    for (size_t j = i * sample; j < (i + 1) * sample; ++j) {
      const double difference = static_cast<double>(samples[j]) - static_cast<double>(reconstructions[j]);
      sum += difference * difference;
    }
    scores[i] = static_cast<float>(sum / static_cast<double>(sample));
  }
  return {};
}

Result<float> quantile(std::span<float> values, double share) {
  if (!(share >= 0 && share <= 1)) return wrong("the share must be 0 to 1");
  const auto end = std::remove_if(values.begin(), values.end(), [](float value) { return !(value - value == 0); });
  const auto count = static_cast<size_t>(end - values.begin());
  if (count == 0) return wrong("none of %zu scores is finite: there is no threshold", values.size());
  // The number of values, rounded up, where the product exceeds a whole number by more than its own rounding.
  const double exact = share * static_cast<double>(count);
  const double wanted = exact - exact * 4 * std::numeric_limits<double>::epsilon();
  auto place = static_cast<size_t>(wanted);
  if (static_cast<double>(place) < wanted) ++place;
  const auto chosen = values.begin() + static_cast<std::ptrdiff_t>(std::clamp<size_t>(place, 1, count) - 1);
  std::nth_element(values.begin(), chosen, end);
  return *chosen;
}

bool vote(uint32_t* history, bool unusual, uint32_t needed, uint32_t window) {
  *history = *history << 1 | (unusual ? 1U : 0U);
  const uint32_t seen = window == 32 ? *history : *history & ((1U << window) - 1);
  return static_cast<uint32_t>(std::popcount(seen)) >= needed;
}

}  // namespace figment
