#include <doctest/doctest.h>

#include <sys/stat.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "io/arrays.h"
#include "io/pictures.h"
#include "io/plot.h"
#include "io/samples.h"
#include "io/table.h"
#include "io/terminal.h"

using namespace figment::io;

namespace {

constexpr Color kBlack{0, 0, 0};

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

template <typename Read>
std::string message_of(Read read) {
  try {
    read();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string csv_message(const std::string& text) {
  return message_of([&] { parse_csv(text, "t.csv"); });
}

std::vector<float> csv_values(const std::string& text) { return parse_csv(text, "t.csv").values; }

// A .npy file of one row of values, given as they are stored.
Array npy(const std::string& type, const std::string& shape, const std::string& bytes, const char* order = "False") {
  std::string header = "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
  std::string file = "\x93NUMPY";
  file += {1, 0, static_cast<char>(header.size()), 0};
  file += header + bytes;
  return parse_npy({reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "t.npy");
}

std::string repeated(size_t count, char c) { return std::string(count, c); }

const std::string kPictures = FIGMENT_TEST_SOURCE "/data/pictures/";
const std::string kHostile = FIGMENT_TEST_SOURCE "/data/hostile/";

}  // namespace

TEST_CASE("tables of numbers are read with and without a header") {
  for (const char* text : {"1,2.5\n-3,4e1\n", "time;value\n 1 ; 2.5\r\n-3;4e1\r\n\r\n", "\"a\"\t\"b\"\n1\t+2.5\n-3\t40",
                           "\xEF\xBB\xBF"
                           "1,2.5\n-3,40",
                           "\xEF\xBB\xBF"
                           "a,b\n1,2.5\n-3,40",
                           "1;2,5\n-3;4e1", "1\t2,5\n-3\t40", "\"1\",\"2.5\"\n\"-3\",40"}) {
    INFO(text);
    const Array table = parse_csv(text, "t.csv");
    CHECK(table.shape == std::vector<size_t>{2, 2});
    CHECK(table.values == std::vector<float>{1, 2.5F, -3, 40});
  }
  CHECK(csv_values("1e-50,-1e-400,1e-46") == std::vector<float>{0, 0, 0});
  CHECK(csv_values("\"1,5\";2\n3;4") == std::vector<float>{1.5F, 2, 3, 4});
  // A separator in quotes separates nothing; a line of tabs is a row, a blank one is none.
  CHECK(parse_csv("\"a;b\",c\n1,2\n", "t.csv").shape == std::vector<size_t>{1, 2});
  CHECK(csv_message("1\t2\n\t\n3\t4\n").find("line 2: cell 1 is empty") != std::string::npos);
  CHECK(csv_values("1\t2\n  \n3\t4\n") == std::vector<float>{1, 2, 3, 4});
  CHECK(csv_values("-1e-400,1e-5000") == std::vector<float>{0, 0});
}

TEST_CASE("tables of measurements have columns by name, times and values to fill in") {
  const std::string text =
      "logger 7\ntime;temp (°C);hum [%];door\n10:00;1,5;40;0\n11:00;;42;0\n12:00;2,5;NA;1\n13:00;3,5;46;1\n";
  TableOptions options;
  options.skip_rows = 1;
  options.time_column = "time";
  options.columns = "temp,3";
  CHECK(message_of([&] { parse_table(text, "t.csv", options); }).find("line 4: temp (°C) is empty; --fill") !=
        std::string::npos);
  options.fill = "linear";
  const Table table = parse_table(text, "t.csv", options);
  CHECK(table.names == std::vector<std::string>{"temp", "hum"});
  CHECK(table.units == std::vector<std::string>{"°C", "%"});
  CHECK(table.times == std::vector<std::string>{"10:00", "11:00", "12:00", "13:00"});
  CHECK(table.values.shape == std::vector<size_t>{4, 2});
  CHECK(table.values.values == std::vector<float>{1.5F, 40, 2, 42, 2.5F, 44, 3.5F, 46});
  CHECK(table.description ==
        "t.csv: 4 rows of 2 columns (temp (°C), hum [%]), separated by ';', with decimal commas, from 10:00 to 13:00, "
        "2 missing values filled (linear)");
  const auto filled = [&](const char* fill) {
    options.fill = fill;
    return parse_table(text, "t.csv", options).values.values;
  };
  CHECK(filled("previous") == std::vector<float>{1.5F, 40, 1.5F, 42, 2.5F, 42, 3.5F, 46});
  CHECK(filled("mean") == std::vector<float>{1.5F, 40, 2.5F, 42, 2.5F, 128 / 3.0F, 3.5F, 46});
  CHECK(filled("-1") == std::vector<float>{1.5F, 40, -1, 42, 2.5F, -1, 3.5F, 46});
  CHECK(message_of([&] { filled("next"); }).find("--fill next") != std::string::npos);
  options.fill = "previous";
  options.columns = "3-4";
  CHECK(parse_table(text, "t.csv", options).names == std::vector<std::string>{"hum", "door"});
  options.columns = "wind";
  CHECK(message_of([&] { parse_table(text, "t.csv", options); }).find("it has time, temp (°C), hum [%], door") !=
        std::string::npos);
  // What a model was trained on is found by its names.
  options = {};
  options.skip_rows = 1;
  options.fill = "previous";
  options.expected = {{"Hum", ""}, {"temp", "°C"}};
  CHECK(parse_table(text, "t.csv", options).names == std::vector<std::string>{"hum", "temp"});
  options.expected = {{"hum", ""}, {"wind", ""}};
  CHECK(message_of([&] { parse_table(text, "t.csv", options); }).find("has no column wind, which the model knows") !=
        std::string::npos);
  options.expected = {{"hum", ""}, {"temp", "K"}};
  CHECK(message_of([&] { parse_table(text, "t.csv", options); }).find("temp (°C) is in other units than the model's") !=
        std::string::npos);
  CHECK(message_of([&] { parse_table("t,v\n10:00,1\n", "t.csv", {}); }).find("give --time-column 1") !=
        std::string::npos);
  CHECK(message_of([&] { parse_table(text, "t.csv", {}); }).find("give --skip-rows N") != std::string::npos);
}

TEST_CASE("columns are told apart by their units, and by nothing where nothing does") {
  const std::string axes = "accel (x),accel (y)\n1,2\n3,4\n";
  TableOptions options;
  options.expected = {{"accel", "y"}, {"accel", "x"}};
  CHECK(parse_table(axes, "t.csv", options).values.values == std::vector<float>{2, 1, 4, 3});
  options.columns = "accel";
  CHECK(message_of([&] { parse_table(axes, "t.csv", options); }).find("1 and 2 are both called accel") !=
        std::string::npos);
  options = {};
  options.expected = {{"t", ""}, {"t", ""}};
  CHECK(parse_table("t,t\n1,2\n", "t.csv", options).values.values == std::vector<float>{1, 2});
  // A column of row numbers, and what a separator at the end of each line leaves.
  const Table table = parse_table(",t,u\n0,5,6\n1,7,8\n", "t.csv", {});
  CHECK(table.names == std::vector<std::string>{"t", "u"});
  CHECK(table.values.values == std::vector<float>{5, 6, 7, 8});
  CHECK(parse_table("t;u;\n5;6;\n", "t.csv", {}).values.values == std::vector<float>{5, 6});
  // A model keeps names of so many bytes.
  options = {};
  options.name_bytes = 6;
  options.expected = {{"größ", ""}};
  CHECK(parse_table("größer als gedacht\n1\n", "t.csv", options).names == std::vector<std::string>{"größ"});
}

TEST_CASE("tables in other encodings are read, or named") {
  const Table latin = parse_table(
      "T (\xB0"
      "C)\n1\n",
      "t.csv", {});
  CHECK(latin.units == std::vector<std::string>{"°C"});
  CHECK(latin.description.find("read as Latin-1") != std::string::npos);
  CHECK(csv_message(std::string("\xFF\xFEt\0\n\0", 6)).find("UTF-16") != std::string::npos);
}

TEST_CASE("times that go back or leave gaps are noted") {
  TableOptions options;
  options.time_column = "1";
  const auto warning = [&](const std::string& text) { return parse_table(text, "t.csv", options).warning; };
  CHECK(warning("2025-03-01T10:00:00,1\n2025-03-01T10:10:00,2\n2025-03-01T10:20:00,3\n").empty());
  CHECK(warning("2025-02-28 23:50,1\n2025-03-01 00:00,2\n2025-03-01 00:10,3\n").empty());
  CHECK(warning("0,5;1\n1,0;2\n1,5;3\n2,0;4\n").empty());
  CHECK(warning("1700000000,1\n1700000010,2\n1700000005,3\n").find("line 3: the time goes back") != std::string::npos);
  CHECK(warning("10:00,1\n09:00,2\n").empty());  // nobody knows the day
  CHECK(warning("5,1\n4,2\n").find("line 2: the time goes back") != std::string::npos);
  CHECK(warning("2025-03-01 10:00,1\n2025-03-01 10:10,2\n2025-03-01 10:20,3\n2025-03-02 10:20,4\n2025-03-02 10:30,5\n")
            .find("1 gap between the times, the first behind 2025-03-01 10:20") != std::string::npos);
}

TEST_CASE("tables with mistakes name the line and the cell, and lose no row") {
  CHECK(csv_message("1,2\n3\n").find("line 2: has 1 cells, the lines before have 2") != std::string::npos);
  CHECK(csv_message("1,2\n3,x\n").find("line 2: cell 2, \"x\", is no number") != std::string::npos);
  CHECK(csv_message("1,2\n3,\n").find("line 2: cell 2 is empty") != std::string::npos);
  // A first line with a number in it is no header.
  CHECK(csv_message(",2\n3,4\n").find("line 1: cell 1 is empty") != std::string::npos);
  CHECK(csv_message("x,2\n3,4\n").find("line 1: cell 1, \"x\"") != std::string::npos);
  CHECK(csv_message("a,b\nc,d\n").find("line 2") != std::string::npos);
  CHECK(csv_message("1,+-5\n").find("cell 2, \"+-5\", is no number") != std::string::npos);
  CHECK(csv_message("1,1e5000\n").find("is too large for float32") != std::string::npos);
  CHECK(csv_message("1e50,2\n").find("is too large for float32") != std::string::npos);
  CHECK(csv_message("1,2\n3,inf\n").find("line 2: cell 2, inf, is not finite") != std::string::npos);
  CHECK(csv_message("1.5,2,5\n3,4\n").find("line 2: has 2 cells") != std::string::npos);
}

TEST_CASE("arrays of all number types, byte orders and orders of dimensions are read") {
  CHECK(npy("<f4", "(2,)", std::string("\0\0\x80\x3F\0\0\0\xC0", 8)).values == std::vector<float>{1, -2});
  CHECK(npy(">f4", "(2,)", std::string("\x3F\x80\0\0\xC0\0\0\0", 8)).values == std::vector<float>{1, -2});
  CHECK(npy("<f8", "(1,)", std::string("\0\0\0\0\0\0\xF0\x3F", 8)).values == std::vector<float>{1});
  CHECK(message_of([] {
          npy("<f8", "(1,)", std::string("\0\0\0\0\0\0\xF0\x7E", 8));
        }).find("value 0 is too large for float32") != std::string::npos);
  CHECK(npy("<f8", "(1,)", std::string("\0\0\0\0\0\0\xF0\x7F", 8)).values == std::vector<float>{INFINITY});
  CHECK(npy("<f2", "(4,)", std::string("\0\x3C\0\xC0\1\0\0\x7C", 8)).values ==
        std::vector<float>{1, -2, std::ldexp(1.0F, -24), INFINITY});
  CHECK(npy("<i8", "(1,)", std::string("\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8)).values == std::vector<float>{-2});
  CHECK(npy(">i2", "(2,)", std::string("\xFF\xFE\0\3", 4)).values == std::vector<float>{-2, 3});
  CHECK(npy("<u4", "(1,)", std::string("\0\0\0\x80", 4)).values == std::vector<float>{2147483648.0F});
  CHECK(npy("|b1", "(2,)", std::string("\0\1", 2)).values == std::vector<float>{0, 1});
  const Array bytes = npy("|u1", "(2,)", std::string("\0\xFF", 2));
  CHECK(bytes.values == std::vector<float>{0, 255});
  CHECK(bytes.bytes);
  CHECK(npy("|i1", "(2, 3)", std::string("\1\2\3\4\5\6", 6), "True").values == std::vector<float>{1, 3, 5, 2, 4, 6});
  for (const char* type : {"<c8", "<U1", "|O", "<f16", "<i3", "|u9", "", "<f"}) {
    INFO(type);
    CHECK(message_of([&] { npy(type, "(1,)", "12345678"); }).find("not numbers") != std::string::npos);
  }
  CHECK(message_of([] { npy("<f4", "(3,)", "12345678"); }).find("its shape needs 3") != std::string::npos);
}

TEST_CASE("an archive's array is read by its name, or alone") {
  const std::string folder = FIGMENT_TEST_SOURCE "/data/arrays/";
  CHECK(read_array(folder + "one.npz").values == std::vector<float>{1, 2, 3});
  CHECK(read_array(folder + "two.npz:b").values == std::vector<float>{4, 5});
  CHECK(read_array(folder + "two.npz:a").shape == std::vector<size_t>{2, 2});
  CHECK(message_of([&] { read_array(folder + "two.npz"); }).find("choose one, as in " + folder + "two.npz:a") !=
        std::string::npos);
  CHECK(message_of([&] { read_array(folder + "two.npz:c"); }).find("it has a, b") != std::string::npos);
  const std::vector<uint8_t> whole = read_file(folder + "two.npz");
  const auto unpack_all = [](std::span<const uint8_t> bytes) {
    for (const ZipEntry& entry : parse_zip(bytes, "t.npz")) unpack(entry, "t.npz", Budget(bytes.size()));
  };
  for (size_t size = 0; size < whole.size(); size += 7)
    CHECK(!message_of([&] { unpack_all(std::span(whole).first(size)); }).empty());
  for (size_t i = 0; i < whole.size(); ++i) {
    std::vector<uint8_t> broken = whole;
    broken[i] ^= 0x55;
    message_of([&] { unpack_all(broken); });  // an error or not, but no crash
  }
  // One array is read whatever the others are, and an empty file may be deflated.
  CHECK(read_array(folder + "other.npz:a").values == std::vector<float>{1, 2});
  CHECK_THROWS_WITH_AS(read_array(folder + "other.npz:large"), doctest::Contains("--allow-large"), Error);
  CHECK_THROWS_WITH_AS(read_array(folder + "other.npz:empty"), doctest::Contains("not a .npy file"), Error);
}

TEST_CASE("pictures are read as gray or color") {
  const Picture gray = read_picture(kPictures + "a/ramp.png", 1, kBlack);
  CHECK(gray.width == 16);
  CHECK(gray.height == 12);
  CHECK(gray.pixels[5] == 80);
  const Picture three = read_picture(kPictures + "a/ramp.png", 3, kBlack);
  CHECK(three.pixels[3 * 5 + 2] == 80);
  const Picture color = read_picture(kPictures + "b/color.jpg", 3, kBlack);
  CHECK(std::abs(color.pixels[0] - 200) <= 2);
  CHECK(std::abs(color.pixels[2] - 50) <= 2);
  const Picture light = read_picture(kPictures + "b/color.jpg", 1, kBlack);
  CHECK(std::abs(light.pixels[0] - 124) <= 2);  // 0.299 R + 0.587 G + 0.114 B
}

TEST_CASE("transparent pixels show the background, and pictures are cropped, padded or squeezed") {
  // Red, green, blue and white that is half transparent.
  const std::string path = FIGMENT_TEST_SOURCE "/data/png/primaries.png";
  CHECK(read_picture(path, 1, {255, 255, 255}).pixels == std::vector<uint8_t>{76, 150, 29, 255});
  const Picture on_blue = read_picture(path, 3, parse_color("#0000ff"));
  CHECK(on_blue.transparent);
  CHECK(std::vector<uint8_t>(on_blue.pixels.end() - 3, on_blue.pixels.end()) == std::vector<uint8_t>{128, 128, 255});
  CHECK_THROWS_WITH_AS(parse_color("#12345"), doctest::Contains("#rrggbb"), Error);
  const Picture wide{{10, 20, 30, 40, 50, 60, 70, 80}, 4, 2};
  CHECK(fitted(wide, 2, 2, {{}, Fit::kCrop}).pixels == std::vector<uint8_t>{20, 30, 60, 70});
  CHECK(fitted(wide, 2, 2, {{}, Fit::kSqueeze}).pixels == std::vector<uint8_t>{15, 35, 55, 75});
  CHECK(fitted(wide, 4, 4, {{7, 7, 7}, Fit::kPad}).pixels ==
        std::vector<uint8_t>{7, 7, 7, 7, 10, 20, 30, 40, 50, 60, 70, 80, 7, 7, 7, 7});
  // A line becomes at least one pixel thick.
  const Picture line{std::vector<uint8_t>(1000, 9), 1000, 1};
  CHECK(fitted(line, 4, 4, {{}, Fit::kPad}).pixels.size() == 16);
  CHECK(fitted(line, 4, 4, {{}, Fit::kCrop}).pixels == std::vector<uint8_t>(16, 9));
}

TEST_CASE("a folder of pictures says what is in it, and its subfolders are classes") {
  const std::string folder = kPictures.substr(0, kPictures.size() - 1);
  const Samples samples(folder, {"image", {3, 8, 8}, 0, 255});
  CHECK(samples.count() == 2);
  CHECK(samples.classes() == std::vector<std::string>{"a", "b"});
  CHECK(samples.label(1) == 1);
  CHECK(samples.file(0) == "a/ramp.png");
  CHECK(samples.description() ==
        folder + ": 2 pictures in 2 classes (a, b), 16x12 to 16x16, 1 of them gray, cropped (--fit) to 8x8");
  CHECK(Samples(folder + "/a", {"image", {1, 12, 16}, 0, 255}).description() == folder + "/a: 1 picture, 16x12");
  // A picture beside the subfolders has no class, and so have the others; names do not say what is in a file.
  const TemporaryFolder temporary;
  const std::string own = temporary.file("own");
  std::filesystem::create_directory(own);
  for (const char* name : {"cat", "dog"}) {
    std::filesystem::create_directory(own + "/" + name);
    std::filesystem::copy(folder + "/a/ramp.png", own + "/" + name + "/1.jpg");
  }
  CHECK(Samples(own, {"image", {1, 24, 32}, 0, 255}).classes() == std::vector<std::string>{"cat", "dog"});
  std::filesystem::copy(folder + "/a/ramp.png", own + "/zebra.png");
  write_file(own + "/moving.gif", "GIF89a");
  const Samples mixed(own, {"image", {1, 24, 32}, 0, 255});
  CHECK(mixed.classes().empty());
  CHECK(mixed.description() ==
        own +
            ": 3 pictures of no classes, since zebra.png lies beside the subfolders, 16x12, "
            "resized to 32x24, 3 smaller than that; 1 of other kinds left out (convert them to .png)");
}

TEST_CASE("a PNG's values are taken as they stand, whatever it says of gamma") {
  // 4 x 1 pixels of 0, 64, 128 and 255 in every form.
  const std::string folder = FIGMENT_TEST_SOURCE "/data/png/";
  for (const char* name :
       {"gray8", "gray8_gamma1", "gray8_gamma_srgb", "gray16", "gray16_gamma1", "rgb8", "rgb16", "palette", "rgba8"}) {
    INFO(name);
    const Picture gray = read_picture(folder + name + ".png", 1, kBlack);
    CHECK(gray.pixels == std::vector<uint8_t>{0, 64, 128, 255});
    CHECK(read_picture(folder + name + ".png", 3, kBlack).pixels ==
          std::vector<uint8_t>{0, 0, 0, 64, 64, 64, 128, 128, 128, 255, 255, 255});
  }
  // Red, green and blue become gray as a JPEG's do; half transparent white is gray on black.
  CHECK(read_picture(folder + "primaries.png", 1, kBlack).pixels == std::vector<uint8_t>{76, 150, 29, 128});
}

TEST_CASE("a JPEG is turned as its EXIF orientation says") {
  // 16 x 8 pixels, the left half light and the right half dark, as a viewer shows it, stored in all eight ways.
  for (int orientation = 1; orientation <= 8; ++orientation) {
    INFO(orientation);
    const Picture picture =
        read_picture(FIGMENT_TEST_SOURCE "/data/jpeg/orientation_" + std::to_string(orientation) + ".jpg", 1, kBlack);
    REQUIRE(picture.width == 32);
    REQUIRE(picture.height == 16);
    const auto at = [&](size_t x, size_t y) { return picture.pixels[y * 32 + x]; };
    CHECK(std::abs(at(4, 4) - 240) < 10);
    CHECK(std::abs(at(28, 4) - 160) < 10);
    CHECK(std::abs(at(4, 12) - 80) < 10);
    CHECK(std::abs(at(28, 12) - 10) < 10);
  }
}

TEST_CASE("broken pictures are errors") {
  // A chunk that says it is longer than addresses go.
  std::vector<uint8_t> long_chunk = read_file(kPictures + "a/ramp.png");
  for (size_t i = 33; i < 37; ++i) long_chunk[i] = i == 36 ? 0xF4 : 0xFF;
  CHECK_THROWS_AS(parse_png(long_chunk, "t.png", 1, kBlack), Error);
  const std::vector<uint8_t> jpeg = read_file(kPictures + "b/color.jpg");
  const std::vector<uint8_t> png = read_file(kPictures + "a/ramp.png");
  for (size_t size = 0; size + 1 < jpeg.size(); size += 31)
    CHECK_THROWS_AS(parse_jpeg(std::span(jpeg).first(size), "t.jpg", 1), Error);
  for (size_t size = 0; size < png.size(); ++size)
    CHECK_THROWS_AS(parse_png(std::span(png).first(size), "t.png", 1, kBlack), Error);
  const Temporary no_jpeg(".jpg", "hello");
  const Temporary no_png(".png", "hello");
  for (const std::string& path : {no_jpeg.path, no_png.path}) {
    CHECK_THROWS_WITH_AS(read_picture(path, 1, kBlack), doctest::Contains(path.c_str()), Error);
  }
  CHECK_THROWS_WITH_AS(read_picture(FIGMENT_TEST_SOURCE "/data/jpeg/cmyk.jpg", 3, kBlack), doctest::Contains("CMYK"),
                       Error);
}

TEST_CASE("gzipped files are read to their end, and checked") {
  std::vector<uint8_t> packed = read_file(FIGMENT_TEST_SOURCE "/data/arrays/three.idx.gz");
  const auto read = [](const std::vector<uint8_t>& bytes) { return parse_idx(bytes, "t.gz"); };
  CHECK(read(packed).values == std::vector<uint8_t>{7, 8, 9});
  for (size_t size = 0; size < packed.size(); ++size)
    CHECK_THROWS_AS(read({packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(size)}), Error);
  for (size_t i = 10; i < packed.size(); ++i) {
    INFO(i);
    std::vector<uint8_t> broken = packed;
    broken[i] ^= 1;
    CHECK_THROWS_AS(read(broken), Error);
  }
  // Members follow one another, and are one file.
  const std::vector<uint8_t> head = read_file(FIGMENT_TEST_SOURCE "/data/arrays/two_members.idx.gz");
  CHECK(read(head).values == std::vector<uint8_t>{7, 8, 9});
  packed.insert(packed.end(), head.begin(), head.end());
  CHECK_THROWS_WITH_AS(read(packed), doctest::Contains("more bytes than its dimensions say"), Error);
  CHECK_THROWS_WITH_AS(read({0, 0, 8, 1, 0, 0, 0, 1, 5, 6}), doctest::Contains("more bytes than"), Error);
}

TEST_CASE("small files that promise much are refused before the memory is taken") {
  const auto check = [](const std::string& message) {
    INFO(message);
    CHECK(message.find(" would take ") != std::string::npos);
    CHECK(message.find("GB, more ") != std::string::npos);
    if (sizeof(size_t) > 4) CHECK(message.find("--allow-large") != std::string::npos);
  };
  check(message_of([] { read_picture(kHostile + "large.jpg", 1, kBlack); }));
  check(message_of([] { read_picture(kHostile + "large.png", 3, kBlack); }));
  check(message_of([] { read_idx(kHostile + "large.idx.gz"); }));
  check(message_of([] { read_npz(kHostile + "large.npz"); }));
}

TEST_CASE("pictures shrink by means and grow by interpolation") {
  const Picture picture{{0, 10, 20, 30, 40, 50, 60, 70}, 4, 2, 1};
  CHECK(resized(picture, 2, 1).pixels == std::vector<uint8_t>{25, 45});
  // As Pillow's BILINEAR does.
  CHECK(resized(picture, 8, 2).pixels ==
        std::vector<uint8_t>{0, 3, 8, 13, 18, 23, 28, 30, 40, 43, 48, 53, 58, 63, 68, 70});
  CHECK(resized(picture, 4, 3).pixels == std::vector<uint8_t>{0, 10, 20, 30, 20, 30, 40, 50, 40, 50, 60, 70});
  // A new pixel is the mean of one and a third: (0 + 12 / 3) / (4 / 3).
  CHECK(resized({{0, 12, 24, 36}, 4, 1, 1}, 3, 1).pixels == std::vector<uint8_t>{3, 18, 33});
}

namespace {

// `count` samples of one form: those that an array holds as the model's input takes them.
std::vector<float> samples_of(Array array, const SampleForm& form) {
  const Samples samples(std::move(array), "t.npy", form);
  std::vector<float> values(samples.count() * form.elements());
  for (size_t i = 0; i < samples.count(); ++i) samples.copy(i, values.data() + i * form.elements());
  return values;
}

}  // namespace

TEST_CASE("shapes decide how an array becomes samples, and types only how pixels do") {
  SampleForm image{"image", {2, 1, 2}, -1, 1};
  image.generated = image.bounded = true;
  CHECK(samples_of({{1, 2, 1, 2}, {1, 0, -1, 0.5F}}, image) == std::vector<float>{1, 0, -1, 0.5F});
  CHECK(samples_of({{1, 1, 2, 2}, {1, 0, -1, 0.5F}}, image) == std::vector<float>{1, -1, 0, 0.5F});  // [N, H, W, C]
  CHECK(samples_of({{1, 2, 1, 2}, {255, 0, 0, 255}, true}, image) == std::vector<float>{1, -1, -1, 1});
  CHECK_THROWS_WITH_AS(samples_of({{1, 3, 2, 1}, {0, 0, 0, 0, 0, 0}}, image),
                       doctest::Contains("samples of [3, 2, 1]; input image takes samples of [2, 1, 2]"), Error);
  CHECK_THROWS_WITH_AS(samples_of({{1, 2, 1, 2}, {0, 0, 3, 0}}, image),
                       doctest::Contains("the model's samples lie in [-1, 1]: scale it to that range"), Error);
  // A condition, as a class or as one 1 among zeros, is not a picture, in whatever type.
  const SampleForm condition{"class", {3}, 0, 1};
  for (const bool bytes : {false, true}) {
    CHECK(samples_of({{2, 3}, {0, 1, 0, 0, 0, 1}, bytes}, condition) == std::vector<float>{0, 1, 0, 0, 0, 1});
    CHECK(samples_of({{2}, {1, 2}, bytes}, condition) == std::vector<float>{0, 1, 0, 0, 0, 1});
    CHECK_THROWS_WITH_AS(samples_of({{1}, {3}, bytes}, condition), doctest::Contains("only 3 classes"), Error);
  }
  // Pixels need a range to become numbers of.
  SampleForm photo{"photo", {1, 1, 2}, 0, 1};
  photo.ranged = false;
  CHECK_THROWS_WITH_AS(samples_of({{1, 1, 1, 2}, {0, 255}, true}, photo), doctest::Contains("save floats"), Error);
}

TEST_CASE("pipes, devices and folders are refused, not waited for") {
  const std::string pipe = "/tmp/figment_files_pipe_" + std::to_string(std::rand());
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH_AS(read_file(pipe), doctest::Contains("is a pipe or a device"), Error);
  CHECK_THROWS_WITH_AS(read_idx(pipe), doctest::Contains("is a pipe or a device"), Error);
  CHECK_THROWS_WITH_AS(read_csv("/dev/zero"), doctest::Contains("is a pipe or a device"), Error);
  CHECK_THROWS_WITH_AS(read_file("/tmp"), doctest::Contains("Is a directory"), Error);
  std::remove(pipe.c_str());
}

TEST_CASE("every name has a file name of its own, in the folder that it is written to") {
  CHECK(file_name_of("encoder.0.weight.adam_m") == "encoder.0.weight.adam_m");
  CHECK(file_name_of("a/b/kernel") == "a%2Fb%2Fkernel");
  CHECK(file_name_of("../../etc/passwd") == "%2E.%2F..%2Fetc%2Fpasswd");
  CHECK(file_name_of("..") == "%2E.");
  CHECK(file_name_of("a%2Fb") == "a%252Fb");
  CHECK(file_name_of("\x1B[31m") == "%1B%5B31m");
  CHECK_THROWS_AS(file_name_of(""), Error);
  // The longest can be written, by way of a temporary file.
  std::string longest = repeated(300, 'x');
  while (!message_of([&] { file_name_of(longest); }).empty()) longest.pop_back();
  CHECK(longest.size() > 200);
  const std::string path = "/tmp/" + longest;
  write_file(path, "x");
  CHECK(read_text(path) == "x");
  std::remove(path.c_str());
}

TEST_CASE("a '=' in a path is no assignment") {
  using Pair = std::pair<std::string, std::string>;
  CHECK(split_assignment("latent=z.npy") == Pair{"latent", "z.npy"});
  CHECK(split_assignment("latent=/a=b/z.npy") == Pair{"latent", "/a=b/z.npy"});
  CHECK(split_assignment("/a=b/z.npy") == Pair{"", "/a=b/z.npy"});
  CHECK(split_assignment("z.npy") == Pair{"", "z.npy"});
  CHECK(split_assignment("/tmp/a=b.npy") == Pair{"", "/tmp/a=b.npy"});
  CHECK(split_assignment("generator/Tanh:0=/tmp/z.npy") == Pair{"generator/Tanh:0", "/tmp/z.npy"});
  const Temporary file("=1.npy", "x");
  std::filesystem::current_path("/tmp");
  CHECK(split_assignment(std::filesystem::path(file.path).filename().string()).first.empty());
}

TEST_CASE("what steers a terminal is shown, not done") {
  CHECK(printable("Zoë ≥ 3") == "Zoë ≥ 3");
  CHECK(printable("\x1B[31mred\x7F") == "\\x1B[31mred\\x7F");
  CHECK(printable("a\nb\tc") == "a\\x0Ab\\x09c");
  CHECK(printable("a\nb", true) == "a\nb");
  CHECK(printable("\xC2\x9B"
                  "31m") == "\\xC2\\x9B31m");             // a control character of two bytes
  CHECK(printable("\x9B\xFF\xC3") == "\\x9B\\xFF\\xC3");  // no UTF-8
  CHECK(format_table({{"name"}, {"\x1B[2J"}}).find('\x1B') == std::string::npos);
}

TEST_CASE("tables fit the width that there is") {
  const std::vector<std::vector<std::string>> rows = {
      {"op", "name", "bytes", "notes"}, {"conv2d", "größer/conv_of_all", "1234567", "since the first, 1-D to 3-D"}};
  CHECK(format_table(rows) ==
        "op      name                  bytes  notes\n"
        "conv2d  größer/conv_of_all  1234567  since the first, 1-D to 3-D\n");
  CHECK(format_table(rows, 60) ==
        "op      name                  bytes  notes\n"
        "conv2d  größer/conv_of_all  1234567  since the first, 1-D to\n"
        "                                     3-D\n");
  CHECK(format_table(rows, 42) ==
        "op      name           bytes  notes\n"
        "conv2d  größer/con…  1234567  since the\n"
        "                              first, 1-D\n"
        "                              to 3-D\n");
  CHECK(format_table({{"n", "word"}, {"123456789", "abcdefghijklmnop"}}, 5) ==
        "        n  word\n"
        "123456789  abcdefghijkl\n"
        "           mnop\n");
  CHECK(format_table({}).empty());
}

TEST_CASE("plots show what there is, whatever that is") {
  const std::string plot = plot_lines("a < b", "step", {{"loss", {1, 2, 3}}, {"none", {}}, {"nan", {NAN}}});
  CHECK(plot.find("a &lt; b") != std::string::npos);
  CHECK(plot.find("nan ") == std::string::npos);
  CHECK(plot.find("inf") == std::string::npos);
  CHECK(plot_lines("", "", {}).find("</svg>") != std::string::npos);
  CHECK(plot_lines("\xB0", "", {}).find("\\xB0") != std::string::npos);
  // Of 1000 values one is high: a mean of neighbors hides it, their highest reaches the top of the plot.
  std::vector<double> peak(1000, 1);
  peak[500] = 100;
  const std::string shown = plot_lines("", "", {{"score", peak, true}});
  CHECK(shown.find(">100<") != std::string::npos);
  CHECK(plot_lines("", "", {{"score", peak}}).find(">100<") == std::string::npos);
  const float wave[] = {0, 1, 0, -1};
  CHECK(plot_sequences(wave, 4, 1, -1, 1, 2).find("<path") != std::string::npos);
}
