// The variables of a training session by name: parameters in the exporter's layout, scalars.
#pragma once

#include <span>

#include "core/status.h"
#include "session/session.h"

namespace figment {

// The value of a named scalar. kNotFound.
Result<float*> find_scalar(Session* session, const char* name);
// The session's values of a channel's scaling (format/scaling.h). `input` nullptr: of the samples. kNotFound.
Result<float*> scaling_values(const Session& session, const char* input, uint32_t channel);
// Copies a parameter out of or into the session's variables, in the exporter's layout. kNotFound.
Status get_parameter(const Session& session, const char* name, std::span<float> out);
Status set_parameter(Session* session, const char* name, std::span<const float> values);

// Whether all variables that are kept are finite: what is not could not be loaded again. `with_state`: also those that
// files have no values of, as the optimizer's. kInvalidArgument.
Status check_variables(const Session& session, bool with_state);

}  // namespace figment
