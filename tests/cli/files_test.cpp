#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "io/files.h"
#include "io/plot.h"

using namespace figment::io;

namespace {

// A file of its own in the temporary folder, removed at the end.
struct Temporary {
  Temporary(const std::string& ending, const std::string& text)
      : path("/tmp/figment_files_" + std::to_string(std::rand()) + std::to_string(reinterpret_cast<uintptr_t>(this)) +
             ending) {
    write_file(path, text);
  }
  ~Temporary() { std::remove(path.c_str()); }
  std::string path;
};

std::string message_of(const std::string& csv) {
  const Temporary file(".csv", csv);
  try {
    read_csv(file.path);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

const std::string kPictures = FIGMENT_TEST_SOURCE "/data/pictures/";

}  // namespace

TEST_CASE("tables of numbers are read with and without a header") {
  for (const char* text :
       {"1,2.5\n-3,4e1\n", "time;value\n 1 ; 2.5\r\n-3;4e1\r\n\r\n", "\"a\"\t\"b\"\n1\t+2.5\n-3\t40"}) {
    const Temporary file(".csv", text);
    const Array table = read_csv(file.path);
    CHECK(table.shape == std::vector<size_t>{2, 2});
    CHECK(table.values == std::vector<float>{1, 2.5F, -3, 40});
  }
}

TEST_CASE("tables with mistakes name the line") {
  CHECK(message_of("1,2\n3\n").find("line 2: has 1 cells, the lines before have 2") != std::string::npos);
  CHECK(message_of("1,2\n3,x\n").find("line 2: has a cell that is no number") != std::string::npos);
  CHECK(message_of("1,2\n3,\n").find("line 2") != std::string::npos);
}

TEST_CASE("pictures are read as grey or colour") {
  const Picture grey = read_picture(kPictures + "a/ramp.png", 1);
  CHECK(grey.width == 16);
  CHECK(grey.height == 12);
  CHECK(grey.pixels[5] == 80);
  const Picture three = read_picture(kPictures + "a/ramp.png", 3);
  CHECK(three.pixels[3 * 5 + 2] == 80);
  const Picture colour = read_picture(kPictures + "b/colour.jpg", 3);
  CHECK(std::abs(colour.pixels[0] - 200) <= 2);
  CHECK(std::abs(colour.pixels[2] - 50) <= 2);
  const Picture light = read_picture(kPictures + "b/colour.jpg", 1);
  CHECK(std::abs(light.pixels[0] - 124) <= 2);  // 0.299 R + 0.587 G + 0.114 B
}

TEST_CASE("broken pictures are errors") {
  std::vector<uint8_t> bytes = read_file(kPictures + "b/colour.jpg");
  const Temporary short_jpeg(".jpg", std::string(bytes.begin(), bytes.begin() + 60));
  const Temporary no_jpeg(".jpg", "hello");
  const Temporary no_png(".png", "hello");
  for (const std::string& path : {short_jpeg.path, no_jpeg.path, no_png.path}) {
    CHECK_THROWS_WITH_AS(read_picture(path, 1), doctest::Contains(path.c_str()), Error);
  }
}

TEST_CASE("pictures shrink by means and grow by neighbours") {
  const Picture picture{{0, 10, 20, 30, 40, 50, 60, 70}, 4, 2, 1};
  CHECK(resized(picture, 2, 1).pixels == std::vector<uint8_t>{25, 45});
  CHECK(resized(picture, 8, 2).pixels ==
        std::vector<uint8_t>{0, 0, 10, 10, 20, 20, 30, 30, 40, 40, 50, 50, 60, 60, 70, 70});
}

TEST_CASE("plots show what there is, whatever that is") {
  const std::string plot = plot_lines("a < b", "step", {{"loss", {1, 2, 3}}, {"none", {}}, {"nan", {NAN}}});
  CHECK(plot.find("a &lt; b") != std::string::npos);
  CHECK(plot.find("nan ") == std::string::npos);
  CHECK(plot.find("inf") == std::string::npos);
  CHECK(plot_lines("", "", {}).find("</svg>") != std::string::npos);
  const float wave[] = {0, 1, 0, -1};
  CHECK(plot_sequences(wave, 4, 1, -1, 1, 2).find("<path") != std::string::npos);
}
