// No files.
#include "platform/file.h"

namespace figment::platform {

namespace {

Status no_files() { return Status::error(StatusCode::kUnsupported, "this target has no files"); }

}  // namespace

Result<int> open_regular(const char* /*path*/) { return no_files(); }

MappedFile::~MappedFile() = default;
Status MappedFile::open(const char* /*path*/) { return no_files(); }

Status make_folder(const char* /*path*/) { return no_files(); }
void set_file_hook(FileHook /*hook*/) {}

FileReplacement::~FileReplacement() = default;
Status FileReplacement::begin(const char* /*path*/) { return no_files(); }
Status FileReplacement::write(uint64_t /*offset*/, const void* /*data*/, size_t /*bytes*/) { return no_files(); }
Status FileReplacement::commit() { return no_files(); }
void FileReplacement::clean(const char* /*path*/) {}

}  // namespace figment::platform
