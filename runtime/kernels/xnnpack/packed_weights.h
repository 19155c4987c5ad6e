// The packed weights of a model, made by the first session that needs them and shared by the rest.
#pragma once

#include <pthread.h>
#include <xnnpack.h>

#include <cstddef>
#include <cstdint>

#include "core/memory.h"

namespace figment::kernels {

// One op of a program may be run in several formulations, and one formulation may need several packings (`slot`).
struct PackingKey {
  uint32_t program;
  uint32_t op;
  uint32_t formulation;
  uint32_t slot;

  friend bool operator==(const PackingKey&, const PackingKey&) = default;
};

// Thread-safe: sessions may be created at the same time. Released with the model, after all its sessions.
class PackedWeights {
 public:
  PackedWeights() = default;
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  // Bytes of all packings so far.
  size_t bytes() const;

 private:
  friend class Packing;
  mutable pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  struct Entry* first_ = nullptr;
  size_t bytes_ = 0;
};

// One operator's view of its packing, handed to XNNPACK as a weights cache; must outlive the operator.
class Packing {
 public:
  Packing();
  Packing(const Packing&) = delete;
  Packing& operator=(const Packing&) = delete;

  // Around the creation of the operator: `begin` finds the packing of `key` or prepares to take memory for it, and
  // holds the owner's lock until `end`.
  void begin(PackedWeights* owner, PackingKey key);
  void end();

  // Whether the packing exists already, so that the weights to pack will not be read.
  bool packed() const { return entry_ != nullptr; }
  xnn_weights_cache_t cache() { return &provider_; }
  // For a packing of our own: `bytes` to write it to, or nullptr; then, and if packed(), where it is.
  void* reserve(size_t bytes) { return reserve_space(this, bytes); }
  const void* weights() const;

 private:
  static size_t look_up(void* context, const xnn_weights_cache_look_up_key* key);
  static void* reserve_space(void* context, size_t bytes);
  static size_t look_up_or_insert(void* context, const xnn_weights_cache_look_up_key* key, void* memory, size_t bytes);
  static bool is_finalized(void* context);
  static void* offset_to_address(void* context, size_t offset);
  static xnn_status delete_cache(void* context);

  PackedWeights* owner_ = nullptr;
  PackingKey key_{};
  struct Entry* entry_ = nullptr;
  xnn_weights_cache_provider provider_;
};

}  // namespace figment::kernels
