// The C API: what is unusual.
#include "session/anomaly.h"
#include "api/common.h"

using namespace figment;
using namespace figment::api;

extern "C" {

fig_status fig_anomaly_scores(fig_session* session, size_t count, const float* samples, size_t sample_elements,
                              float* reconstructions, size_t reconstruction_elements, float* scores,
                              size_t score_elements) {
  if (session == nullptr || samples == nullptr || scores == nullptr ||
      (reconstructions == nullptr && reconstruction_elements != 0)) {
    return null_argument("fig_anomaly_scores");
  }
  return done(anomaly_scores(unwrap(session), count, {samples, sample_elements},
                             {reconstructions, reconstruction_elements}, {scores, score_elements}));
}

fig_status fig_anomaly_threshold(float* scores, size_t count, double share, float* threshold) {
  if (scores == nullptr || threshold == nullptr) return null_argument("fig_anomaly_threshold");
  const Result<float> found = quantile({scores, count}, share);
  if (!found.ok()) return fail(found.status());
  *threshold = *found;
  return FIG_OK;
}

fig_status fig_anomaly_alarm(fig_anomaly_vote* vote, float score, bool* alarm) {
  if (vote == nullptr || alarm == nullptr) return null_argument("fig_anomaly_alarm");
  fig_anomaly_vote given;
  if (Status status = copy_options(vote, &given); !status.ok()) return fail(status);
  // It is written, too: no shorter struct has it.
  if (given.struct_size < sizeof given) {
    return fail(Status::error(StatusCode::kInvalidArgument, "fig_anomaly_vote: struct_size is %zu: it needs all of %zu",
                              given.struct_size, sizeof given));
  }
  if (given.window < 1 || given.window > 32 || given.needed < 1 || given.needed > given.window) {
    return fail(Status::error(StatusCode::kInvalidArgument,
                              "fig_anomaly_vote: %u of the last %u scores: give 1 to 32, and no more of them",
                              static_cast<unsigned>(given.needed), static_cast<unsigned>(given.window)));
  }
  if (given.threshold != given.threshold)
    return fail(Status::plain(StatusCode::kInvalidArgument, "fig_anomaly_vote: the threshold is no number"));
  *alarm = figment::vote(&vote->history, is_unusual(score, given.threshold), given.needed, given.window);
  return FIG_OK;
}

}  // extern "C"
