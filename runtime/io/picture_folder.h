// Folders of pictures as samples.
#pragma once

#include <memory>
#include <string>

#include "io/samples.h"

namespace figment::io {

// The PNG and JPEG files below a folder, in the order of their paths, for an input that is an image of 1 or 3 channels.
// The folders right in it are classes, in the order of their names, if all pictures lie in one. All are decoded at
// once, so that a damaged file is found before work begins; what they become is kept if it is not too much, or else
// decoded again when it is needed. Throws Error.
std::unique_ptr<SampleSource> open_picture_folder(const std::string& path, const SampleForm& form);

}  // namespace figment::io
