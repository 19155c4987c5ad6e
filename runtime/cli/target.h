// What a model takes on a Cortex-M, and where it fits.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "commands.h"

namespace figment::cli {

nlohmann::ordered_json target_json(const OpenModel& open, const std::string& target, uint32_t batch);
void print_target(const nlohmann::ordered_json& report);

}  // namespace figment::cli
