// Scores of what is unusual: the higher, the less usual.
#pragma once

#include <span>

#include "core/status.h"
#include "session/session.h"

namespace figment {

// Of each of `count` samples, the mean squared difference of its reconstruction, which goes to `reconstructions`; of a
// model that does not encode, the negative of what "discriminate" returns, and there is no reconstruction.
Status anomaly_scores(Session* session, size_t count, std::span<const float> samples, std::span<float> reconstructions,
                      std::span<float> scores);

// The least of the finite values that a share of these, 0 to 1, does not exceed (the inverse of the empirical
// distribution function; of a share of 0, the least of all). Reorders them. kInvalidArgument if none is finite.
Result<float> quantile(std::span<float> values, double share);

// A score that is no number is no usual one.
inline bool is_unusual(float score, float threshold) { return !(score <= threshold); }

// Whether so many of the last `window` scores were unusual, this one included. `history` has a bit for each, the
// youngest first.
bool vote(uint32_t* history, bool unusual, uint32_t needed, uint32_t window);

}  // namespace figment
