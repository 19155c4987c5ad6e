#include "plan/planner.h"

#include <algorithm>

#include "core/memory.h"

namespace figment::plan {

namespace {

uint64_t rounded(uint64_t bytes) { return (bytes + kTensorAlignment - 1) & ~uint64_t{kTensorAlignment - 1}; }

bool alive_together(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

// A plan this close to the lower bound is good enough.
uint64_t close_to(uint64_t bound) { return bound + bound / 512; }

// Pairs of tensors that are compared, at most, to improve a plan.
constexpr uint64_t kMaxWork = 3000000;

constexpr uint64_t kFirst = uint64_t{1} << 63;

class Planner {
 public:
  Planner(std::span<const Lifetime> tensors, std::span<uint64_t> result, void* memory)
      : tensors_(tensors), best_offsets_(result) {
    const size_t count = tensors.size();
    offsets_ = static_cast<uint64_t*>(memory);
    order_ = reinterpret_cast<uint32_t*>(offsets_ + count);
    best_ = order_ + count;
    by_offset_ = best_ + count;
  }

  Arena plan() {
    const size_t count = tensors_.size();
    Arena arena;
    arena.lower_bound = lower_bound();
    const uint64_t enough = close_to(arena.lower_bound);
    for (int criterion = 0; criterion < kCriteria && size_ > enough; ++criterion) {
      for (uint32_t i = 0; i < count; ++i) order_[i] = i;
      std::sort(order_, order_ + count, [&](uint32_t a, uint32_t b) {
        const uint64_t key_a = key(criterion, tensors_[a]);
        const uint64_t key_b = key(criterion, tensors_[b]);
        return key_a != key_b ? key_a > key_b : a < b;
      });
      try_order(0);
    }
    improve(enough);
    arena.size = count == 0 ? 0 : size_;
    return arena;
  }

 private:
  static constexpr int kCriteria = 9;

  // Tensors are placed from the largest key on. Most orders begin with those that are alive in the fullest step: where
  // they lie without gaps, the rest often fits between.
  uint64_t key(int criterion, const Lifetime& tensor) const {
    const uint64_t steps = uint64_t{tensor.last} - tensor.first + 1;
    const uint64_t earliness = UINT32_MAX - tensor.first;
    const uint64_t fullest = tensor.first <= fullest_step_ && fullest_step_ <= tensor.last ? kFirst : 0;
    switch (criterion) {
      case 0: return tensor.bytes;
      case 1: return steps;
      case 2: return earliness;
      case 3: return fullest + tensor.bytes;
      case 4: return fullest + steps;
      case 5: return fullest + earliness;
      case 6: return fullest + tensor.last;
      case 7: return fullest + (tensor.bytes * steps) % kFirst;
      default: return fullest + tensor.first;
    }
  }

  // Also finds the fullest step.
  uint64_t lower_bound() {
    uint64_t bound = 0;
    // The sum can only grow where a tensor begins.
    for (const Lifetime& start : tensors_) {
      uint64_t alive = 0;
      for (const Lifetime& tensor : tensors_) {
        if (tensor.first <= start.first && start.first <= tensor.last) alive += rounded(tensor.bytes);
      }
      if (alive > bound) {
        bound = alive;
        fullest_step_ = start.first;
      }
    }
    return bound;
  }

  // A fixed pseudo-random walk: mostly, a tensor that reaches the end of the arena is placed earlier. An order that is
  // as good as the best is kept too: the walk crosses plateaus.
  void improve(uint64_t enough) {
    const size_t count = tensors_.size();
    if (count < 3) return;
    uint32_t random = 12345;
    const auto draw = [&random](size_t below) {
      random = random * 1664525U + 1013904223U;
      return static_cast<size_t>((uint64_t{random} * below) >> 32);
    };
    for (uint64_t moves = 0; work_ < kMaxWork && size_ > enough; ++moves) {
      size_t from = 1 + draw(count - 1);
      for (size_t i = 1; i < count && moves % 4 != 3; ++i) {
        if (best_offsets_[best_[i]] + rounded(tensors_[best_[i]].bytes) == size_) from = i;
      }
      const size_t to = draw(from);
      std::copy(best_, best_ + count, order_);
      std::rotate(order_ + to, order_ + from, order_ + from + 1);
      try_order(to);
    }
  }

  // Places in the order of `order_`, of which the first `kept` are as in the best; becomes the best if it is not worse.
  void try_order(size_t kept) {
    const size_t count = tensors_.size();
    uint64_t size = 0;
    for (size_t i = 0; i < kept; ++i) {
      const uint32_t tensor = order_[i];
      offsets_[tensor] = best_offsets_[tensor];
      by_offset_[i] = tensor;
      size = std::max(size, offsets_[tensor] + rounded(tensors_[tensor].bytes));
    }
    std::sort(by_offset_, by_offset_ + kept, [&](uint32_t a, uint32_t b) { return offsets_[a] < offsets_[b]; });
    for (size_t i = kept; i < count; ++i) {
      const uint32_t tensor = order_[i];
      const uint64_t bytes = rounded(tensors_[tensor].bytes);
      const uint64_t offset = find_gap(i, tensors_[tensor], bytes);
      offsets_[tensor] = offset;
      size = std::max(size, offset + bytes);
      if (size > size_) return;
      size_t place = i;
      for (; place > 0 && offsets_[by_offset_[place - 1]] > offset; --place) by_offset_[place] = by_offset_[place - 1];
      by_offset_[place] = tensor;
    }
    size_ = size;
    std::copy(order_, order_ + count, best_);
    std::copy(offsets_, offsets_ + count, best_offsets_.begin());
  }

  // The smallest gap for `tensor` between the `placed` tensors that are alive with it, or the place behind them.
  uint64_t find_gap(size_t placed, const Lifetime& tensor, uint64_t bytes) {
    work_ += placed + 1;
    uint64_t offset = UINT64_MAX;
    uint64_t smallest_gap = UINT64_MAX;
    uint64_t end = 0;
    for (size_t i = 0; i < placed; ++i) {
      const Lifetime& other = tensors_[by_offset_[i]];
      if (!alive_together(tensor, other)) continue;
      const uint64_t start = offsets_[by_offset_[i]];
      if (start > end && start - end >= bytes && start - end < smallest_gap) {
        smallest_gap = start - end;
        offset = end;
      }
      end = std::max(end, start + rounded(other.bytes));
    }
    return offset == UINT64_MAX ? end : offset;
  }

  std::span<const Lifetime> tensors_;
  std::span<uint64_t> best_offsets_;
  uint64_t* offsets_;    // of the order that is tried
  uint32_t* order_;      // that is tried
  uint32_t* best_;       // the best order so far
  uint32_t* by_offset_;  // the tensors that are placed, by their offsets
  uint32_t fullest_step_ = 0;
  uint64_t size_ = UINT64_MAX;
  uint64_t work_ = 0;
};

}  // namespace

Arena plan_memory(std::span<const Lifetime> tensors, std::span<uint64_t> offsets, void* memory) {
  return Planner(tensors, offsets, memory).plan();
}

}  // namespace figment::plan
