#include "kernels/team.h"

#include <algorithm>

namespace figment::kernels {

namespace {

constexpr double kMillisecond = 1e6;
constexpr double kMostSaved = 20 * kMillisecond;  // that counts against what threads cost later
constexpr double kMostCost = 2 * kMillisecond;    // until the team rests
constexpr double kMostOwed = 200 * kMillisecond;  // a process that was stopped meanwhile owes nothing for that
constexpr double kPaidBack = 0.1;                 // of the time that it rests
constexpr double kLeastShare = 0.75;              // of the threads' time that they compute or spin
constexpr float kNew = 0.25F;                     // weight of a new time
constexpr uint32_t kTryAlone = 256;               // runs between trials of the way that is not taken
constexpr uint32_t kTryTogether = 32;

}  // namespace

// First on the threads, since a run may be the only one, then alone, then whichever is faster, with a trial of the
// other now and then: the machine may have changed.
bool Team::wants_threads(const Times& op) const {
  if (resting_) return false;
  if (op.together == 0) return true;
  if (op.alone == 0) return false;
  const bool faster = op.together < op.alone;
  const uint32_t period = faster ? kTryAlone : kTryTogether;
  return op.runs % period == period - 1 ? !faster : faster;
}

void Team::begin(const Times& op) {
  asked_ = false;
  now_ = nullptr;
  waited_ = 0;
  if (!op.threaded) return;
  together_ = wants_threads(op);
  if (together_) now_ = pool_;
  if (together_ && op.alone == 0) computed_ = clock_.computed();
  started_ = clock_.passed();
}

void Team::waited(double nanoseconds) {
  if (nanoseconds < kMillisecond) return;
  waited_ += nanoseconds;
  balance_ = std::max(balance_ - nanoseconds, -kMostOwed);
  if (balance_ >= -kMostCost) return;
  resting_ = true;
  now_ = nullptr;
}

void Team::end(Times* op) {
  if (!op->threaded) return;
  op->threaded = asked_;
  if (!asked_) return;
  learn(op, static_cast<double>(std::max<uint64_t>(clock_.passed() - started_, 1)));
  ++op->runs;
}

void Team::learn(Times* op, double passed) {
  const auto time = static_cast<float>(passed);
  if (!together_) {
    op->alone = op->alone == 0 ? time : op->alone + kNew * (time - op->alone);
    if (!resting_) return;
    balance_ += kPaidBack * passed;
    resting_ = balance_ < 0;
    return;
  }
  double saved = static_cast<double>(op->alone) - passed;
  if (op->alone == 0) {
    // Threads that neither compute nor spin have lost their cores to others.
    const auto computed = static_cast<double>(clock_.computed() - computed_);
    saved = passed < kMillisecond ? 0 : std::min(computed / static_cast<double>(count_) - kLeastShare * passed, 0.0);
    saved = std::min(saved, -waited_);
  }
  // A better time is believed at once: whoever took the cores may have gone.
  op->together = op->together == 0 || time < op->together ? time : op->together + kNew * (time - op->together);
  balance_ = std::clamp(balance_ + saved + waited_, -kMostOwed, kMostSaved);
  resting_ = balance_ < -kMostCost;
}

}  // namespace figment::kernels
