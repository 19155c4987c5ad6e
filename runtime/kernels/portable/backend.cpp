// No library: one thread, and no objects that take memory.
#include "kernels/backend.h"

namespace figment::kernels {

Status start_backend() { return {}; }
const char* backend_name() { return "portable C++"; }

Threads::~Threads() = default;
Status Threads::start(size_t /*count*/, pthreadpool* /*given*/) { return {}; }
Status Threads::check() const { return {}; }

Team Threads::team() const { return {}; }

size_t thread_count(const Team* /*team*/) { return 1; }

void parallelize(Team* /*team*/, void (*task)(void* context, size_t thread, size_t i), void* context, size_t count) {
  for (size_t i = 0; i < count; ++i) task(context, 0, i);
}

OperatorPool::Scope::Scope(OperatorPool* /*pool*/) {}
OperatorPool::Scope::~Scope() = default;

}  // namespace figment::kernels
