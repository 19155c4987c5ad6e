// Data to train on and to compare with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/arrays.h"
#include "io/pictures.h"
#include "io/table.h"

namespace figment::io {

// Where samples come from.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual size_t count() const = 0;
  virtual void copy(size_t i, float* out) const = 0;
  // Rows that a sample shares with the one after it: 0 but for windows of one series.
  virtual size_t overlap() const { return 0; }
  // Whether samples are class numbers, copied as one 1 among zeros.
  virtual bool one_hot() const { return false; }
  // Of a folder: a sample's file, its class and the classes' names, which are those of subfolders. "", 0 and none else.
  virtual std::string file(size_t /*i*/) const { return ""; }
  virtual size_t label(size_t /*i*/) const { return 0; }
  virtual std::vector<std::string> classes() const { return {}; }
  // Whether samples are numbers as someone has written them, and no pixels or class numbers.
  virtual bool measured() const { return false; }
  // Of a .csv file, without its values; row i is where sample i begins. Else nullptr.
  virtual const Table* table() const { return nullptr; }
  // A line for people on what was read, or "".
  virtual std::string description() const { return ""; }
};

// How a sample is to look: the shape of the input that it goes to, without the batch, and its values' range.
struct SampleForm {
  std::string input;
  std::vector<size_t> shape;
  float low = 0;                                  // black
  float high = 1;                                 // white
  bool generated = false;                         // what the model generates: never class numbers
  bool bounded = false;                           // values outside the range are an error
  bool ranged = true;                             // whether the range is known; if not, pixels are an error
  bool integers = false;                          // labels and indices: bytes are numbers, not pixels
  std::string advice = "scale it to that range";  // of data that is outside
  PictureOptions pictures = {};
  TableOptions table = {};  // of .csv files

  size_t elements() const;
};

// The samples of a file or a folder.
//  - IDX (also gzipped), and .npy and .npz files of unsigned bytes where samples or images go: pixels, scaled to the
//    range.
//  - other .npy, .npz (PATH.npz:NAME where it holds several) and .csv files: values as they are. A table of as many
//    columns as a sequence has features is read as one long sequence: the samples are all its windows.
//  - a folder: its PNG and JPEG files in the order of their names, or of its subfolders, which are classes; fitted to
//    the input's shape and scaled to the range.
//  - labels: single numbers for an input that is one vector, which become one 1 among zeros; as they are for an input
//  of
//    integers.
// Shapes must agree, but for dimensions of 1; a vector stands for any shape, and images may have their channels last.
class Samples {
 public:
  // Throws an error that names the path and what to do.
  Samples(const std::string& path, const SampleForm& form);
  // Of an array that was read already; `origin` names it in messages.
  Samples(Array array, const std::string& origin, const SampleForm& form);

  size_t count() const { return source_->count(); }
  void copy(size_t i, float* out) const { source_->copy(i, out); }
  size_t overlap() const { return source_->overlap(); }
  bool one_hot() const { return source_->one_hot(); }
  std::string file(size_t i) const { return source_->file(i); }
  size_t label(size_t i) const { return source_->label(i); }
  std::vector<std::string> classes() const { return source_->classes(); }
  std::string description() const { return source_->description(); }
  bool measured() const { return source_->measured(); }
  const Table* table() const { return source_->table(); }

 private:
  std::unique_ptr<SampleSource> source_;
};

constexpr const char* kDataHelp =
    "samples: IDX (also gzipped), .npy, .npz, .csv (rows of samples, or a long sequence), a folder of PNG and JPEG "
    "files";
constexpr const char* kNormalizeHelp =
    "scale .npy, .npz and .csv files to the model's range: columns from their least value to their greatest, which the "
    "trained model keeps";

// A permutation of `count` samples for each pass over them, from the seed alone.
class Shuffle {
 public:
  Shuffle(size_t count, uint64_t seed) : order_(count), seed_(seed) {}

  size_t at(uint64_t position);

 private:
  std::vector<size_t> order_;
  uint64_t seed_;
  uint64_t pass_ = UINT64_MAX;
};

}  // namespace figment::io
