#include "plan/planner.h"

#include <algorithm>

#include "core/memory.h"

namespace figment::plan {

namespace {

uint64_t rounded(uint64_t bytes) { return (bytes + kTensorAlignment - 1) & ~uint64_t{kTensorAlignment - 1}; }

bool alive_together(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

class Planner {
 public:
  explicit Planner(std::span<const Lifetime> tensors) : tensors_(tensors) {}

  [[nodiscard]] bool allocate() {
    const size_t count = tensors_.size();
    return order_.allocate(count) && trial_.allocate(count) && offsets_.allocate(count) && best_.allocate(count) &&
           neighbours_.allocate(count);
  }

  Arena plan(std::span<uint64_t> result) {
    Arena arena;
    arena.lower_bound = lower_bound();
    uint64_t best = UINT64_MAX;
    const auto keep_if_as_good = [&](const Array<uint32_t>& order) {
      const uint64_t size = place(order, best);
      // An order that is as good is kept too: the walk crosses plateaus.
      if (size > best) return false;
      best = size;
      std::copy(order.begin(), order.end(), best_.begin());
      std::copy(offsets_.begin(), offsets_.end(), result.begin());
      return true;
    };
    for (int criterion = 0; criterion < 3 && best > arena.lower_bound; ++criterion) {
      for (uint32_t i = 0; i < order_.size(); ++i) order_[i] = i;
      std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
        const uint64_t key_a = key(criterion, tensors_[a]);
        const uint64_t key_b = key(criterion, tensors_[b]);
        return key_a != key_b ? key_a > key_b : a < b;
      });
      keep_if_as_good(order_);
    }
    // Reinsertion: a fixed pseudo-random walk, bounded in moves and in work.
    const size_t count = tensors_.size();
    const size_t moves = count < 3 ? 0 : std::min<size_t>(10000, size_t{400000000} / (count * count));
    uint32_t random = 12345;
    const auto draw = [&random](size_t below) {
      random = random * 1664525U + 1013904223U;
      return static_cast<size_t>((uint64_t{random} * below) >> 32);
    };
    for (size_t move = 0; move < moves && best > arena.lower_bound; ++move) {
      const size_t from = 1 + draw(count - 1);
      const size_t to = draw(from);
      std::copy(best_.begin(), best_.end(), trial_.begin());
      std::rotate(trial_.begin() + to, trial_.begin() + from, trial_.begin() + from + 1);
      keep_if_as_good(trial_);
    }
    arena.size = count == 0 ? 0 : best;
    return arena;
  }

 private:
  static uint64_t key(int criterion, const Lifetime& tensor) {
    const uint64_t steps = uint64_t{tensor.last} - tensor.first + 1;
    switch (criterion) {
      case 0: return tensor.bytes;
      case 1: return steps;
      default: return UINT32_MAX - tensor.first;
    }
  }

  uint64_t lower_bound() const {
    uint64_t bound = 0;
    // The sum can only grow where a tensor begins.
    for (const Lifetime& start : tensors_) {
      uint64_t alive = 0;
      for (const Lifetime& tensor : tensors_) {
        if (tensor.first <= start.first && start.first <= tensor.last) alive += rounded(tensor.bytes);
      }
      bound = std::max(bound, alive);
    }
    return bound;
  }

  // Places in the given order; returns the arena's size, or something above `limit` as soon as that is sure.
  uint64_t place(const Array<uint32_t>& order, uint64_t limit) {
    uint64_t size = 0;
    for (size_t i = 0; i < order.size(); ++i) {
      const Lifetime& tensor = tensors_[order[i]];
      const uint64_t bytes = rounded(tensor.bytes);
      size_t alive = 0;
      for (size_t j = 0; j < i; ++j) {
        if (alive_together(tensor, tensors_[order[j]])) neighbours_[alive++] = order[j];
      }
      std::sort(neighbours_.begin(), neighbours_.begin() + alive,
                [&](uint32_t a, uint32_t b) { return offsets_[a] < offsets_[b]; });
      uint64_t offset = UINT64_MAX;
      uint64_t smallest_gap = UINT64_MAX;
      uint64_t end = 0;
      for (size_t j = 0; j < alive; ++j) {
        const uint64_t start = offsets_[neighbours_[j]];
        if (start > end && start - end >= bytes && start - end < smallest_gap) {
          smallest_gap = start - end;
          offset = end;
        }
        end = std::max(end, start + rounded(tensors_[neighbours_[j]].bytes));
      }
      offsets_[order[i]] = offset == UINT64_MAX ? end : offset;
      size = std::max(size, offsets_[order[i]] + bytes);
      if (size > limit) return size;
    }
    return size;
  }

  std::span<const Lifetime> tensors_;
  Array<uint32_t> order_;
  Array<uint32_t> trial_;
  Array<uint32_t> best_;
  Array<uint32_t> neighbours_;
  Array<uint64_t> offsets_;
};

}  // namespace

Result<Arena> plan_memory(std::span<const Lifetime> tensors, std::span<uint64_t> offsets) {
  Planner planner(tensors);
  if (!planner.allocate())
    return Status::error(StatusCode::kOutOfMemory, "no memory to plan %zu tensors", tensors.size());
  return planner.plan(offsets);
}

}  // namespace figment::plan
