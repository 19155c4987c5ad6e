// Bytes that copies share until one of them is changed.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace figment::converter {

// The values of a constant: graphs are copied often, and constants are most of their memory. Copies may be read by
// several threads; one object may not.
class SharedBytes {
 public:
  const uint8_t* data() const { return bytes_ ? bytes_->data() : nullptr; }
  size_t size() const { return bytes_ ? bytes_->size() : 0; }
  bool empty() const { return size() == 0; }

  void assign(std::vector<uint8_t> bytes) { bytes_ = std::make_shared<std::vector<uint8_t>>(std::move(bytes)); }
  // As many zeros.
  uint8_t* allocate(size_t size) {
    assign(std::vector<uint8_t>(size));
    return bytes_->data();
  }
  // To change them in place, copied first where others share them.
  uint8_t* edit() {
    if (bytes_ && bytes_.use_count() > 1) assign(*bytes_);
    return bytes_ ? bytes_->data() : nullptr;
  }

  friend bool operator==(const SharedBytes& a, const SharedBytes& b) {
    return a.bytes_ == b.bytes_ || (a.size() == b.size() && (a.empty() || *a.bytes_ == *b.bytes_));
  }

 private:
  std::shared_ptr<std::vector<uint8_t>> bytes_;
};

}  // namespace figment::converter
