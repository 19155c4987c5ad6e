#include "scaling.h"

#include <fmt/format.h>
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "io/utf8.h"

namespace figment::cli {

Scaling Scaling::of(const OpenModel& open, const char* input) {
  Scaling result;
  fig_scaling channel{};
  for (uint32_t i = 0;; ++i) {
    const bool in_session =
        open.session() != nullptr && fig_session_get_scaling(open.session(), input, i, &channel) == FIG_OK;
    if (!in_session && fig_model_scaling(open.model(), input, i, &channel) != FIG_OK) return result;
    result.channels_.push_back(channel);
  }
}

Scaling Scaling::between(std::span<const float> least, std::span<const float> greatest, float low, float high) {
  Scaling result;
  for (size_t i = 0; i < least.size(); ++i) {
    // In double: the difference of two floats may be none.
    const double range = static_cast<double>(greatest[i]) - static_cast<double>(least[i]);
    const double scale = range > 0 ? range / (static_cast<double>(high) - static_cast<double>(low)) : 1;
    fig_scaling channel{};
    channel.scale = static_cast<float>(scale);
    channel.offset = static_cast<float>(static_cast<double>(least[i]) - static_cast<double>(low) * scale);
    result.channels_.push_back(channel);
  }
  return result;
}

bool Scaling::known() const {
  return !channels_.empty() && std::ranges::all_of(channels_, [](const fig_scaling& c) { return c.scale != 0; });
}

bool Scaling::identity() const {
  return std::ranges::all_of(channels_, [](const fig_scaling& c) { return c.scale == 1 && c.offset == 0; });
}

void Scaling::to_values(std::span<float> measured) const {
  if (!known()) return;
  for (size_t i = 0; i < measured.size(); ++i) {
    const fig_scaling& c = channels_[i % channels_.size()];
    measured[i] = static_cast<float>((static_cast<double>(measured[i]) - static_cast<double>(c.offset)) /
                                     static_cast<double>(c.scale));
  }
}

void Scaling::to_measured(std::span<float> values) const {
  if (!known()) return;
  for (size_t i = 0; i < values.size(); ++i) {
    const fig_scaling& c = channels_[i % channels_.size()];
    values[i] = static_cast<float>(static_cast<double>(c.offset) +
                                   static_cast<double>(c.scale) * static_cast<double>(values[i]));
  }
}

float Scaling::difference_to_measured(size_t channel, float difference) const {
  return known() ? channels_[channel % channels_.size()].scale * difference : difference;
}

void Scaling::set_names(const std::vector<std::string>& names, const std::vector<std::string>& units) {
  if (names.size() != channels_.size()) return;
  const auto copy = [](const std::string& from, char* to, size_t size) {
    if (to[0] == 0) std::snprintf(to, size, "%s", io::cut_utf8(from, size - 1).c_str());
  };
  for (size_t i = 0; i < names.size(); ++i) {
    copy(names[i], channels_[i].name, sizeof channels_[i].name);
    copy(units[i], channels_[i].unit, sizeof channels_[i].unit);
  }
}

bool Scaling::named() const {
  return std::ranges::any_of(channels_, [](const fig_scaling& c) { return c.name[0] != 0; });
}

std::vector<io::ColumnName> Scaling::columns() const {
  std::vector<io::ColumnName> result;
  for (const fig_scaling& c : channels_) {
    if (c.name[0] == 0) return {};
    result.push_back({c.name, c.unit});
  }
  return result;
}

std::string Scaling::label(size_t channel) const {
  if (channel >= channels_.size() || channels_[channel].name[0] == 0) return "v" + std::to_string(channel);
  const fig_scaling& c = channels_[channel];
  return std::string(c.name) + (c.unit[0] != 0 ? " (" + std::string(c.unit) + ")" : "");
}

std::string Scaling::formula(size_t channel) const {
  return fmt::format("{} = {:.6g} + {:.6g} x", label(channel), channels_[channel].offset, channels_[channel].scale);
}

bool Scaling::keep(const OpenModel& open, const char* input) const {
  for (uint32_t i = 0; i < channels_.size(); ++i) {
    const fig_status status = fig_session_set_scaling(open.session(), input, i, &channels_[i]);
    if (status == FIG_NOT_FOUND) return false;
    check(status);
  }
  return !channels_.empty();
}

}  // namespace figment::cli
