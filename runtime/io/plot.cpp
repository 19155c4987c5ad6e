#include "io/plot.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "io/terminal.h"

namespace figment::io {

namespace {

// The colors of Okabe and Ito (2008), which color-blind people tell apart.
constexpr const char* kColors[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"};
constexpr size_t kMaxPoints = 400;
constexpr double kWidth = 800;
constexpr double kHeight = 400;
constexpr double kLeft = 70;
constexpr double kRight = 20;
constexpr double kTop = 56;
constexpr double kBottom = 46;

const char* color(size_t i) { return kColors[i % std::size(kColors)]; }

std::string escaped(const std::string& text) {
  std::string result;
  for (char c : printable(text)) {
    if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '&')
      result += "&amp;";
    else
      result += c;
  }
  return result;
}

std::string number(double value) { return format_number(value, 2); }

std::string text(double x, double y, const char* anchor, const std::string& words) {
  return "<text x='" + number(x) + "' y='" + number(y) + "' text-anchor='" + anchor + "'>" + escaped(words) +
         "</text>\n";
}

std::string open_svg(double width, double height) {
  return "<svg xmlns='http://www.w3.org/2000/svg' width='" + number(width) + "' height='" + number(height) +
         "' font-family='sans-serif' font-size='12' fill='#333'>\n<rect width='100%' height='100%' fill='white'/>\n";
}

// Neighboring values as one point.
struct Point {
  double place = 0;  // of the middle, from 1 on
  double mean = 0;
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
};

std::vector<Point> points_of(const std::vector<double>& values) {
  const size_t each = (values.size() + kMaxPoints - 1) / kMaxPoints;
  std::vector<Point> points;
  for (size_t first = 0; first < values.size(); first += each) {
    const size_t end = std::min(values.size(), first + each);
    Point point;
    point.place = static_cast<double>(first + 1 + end) / 2;
    size_t count = 0;
    for (size_t i = first; i < end; ++i) {
      if (!std::isfinite(values[i])) continue;
      point.mean += values[i];
      point.low = std::min(point.low, values[i]);
      point.high = std::max(point.high, values[i]);
      ++count;
    }
    if (count == 0) continue;
    point.mean /= static_cast<double>(count);
    points.push_back(point);
  }
  return points;
}

// 1, 2 or 5 times a power of ten: about `range` / 6.
double tick_step(double range) {
  const double raw = range / 6;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw) return factor * power;
  }
  return 10 * power;
}

std::string tick_label(double value, double step) {
  const int decimals = std::clamp(static_cast<int>(std::ceil(-std::log10(step))), 0, 9);
  return format_number(std::fabs(value) < step / 1000 ? 0 : value, decimals);
}

// Maps values to pixels.
struct Axis {
  double low;
  double high;
  double from;  // the pixel of `low`
  double to;
  double at(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

std::string path(const std::vector<Point>& points, const Axis& x, const Axis& y, double Point::* value) {
  std::string result;
  for (const Point& point : points)
    result += (result.empty() ? "M" : "L") + number(x.at(point.place)) + " " + number(y.at(point.*value));
  return result;
}

std::string band(const std::vector<Point>& points, const Axis& x, const Axis& y) {
  std::string result = path(points, x, y, &Point::high);
  for (size_t i = points.size(); i > 0; --i)
    result += "L" + number(x.at(points[i - 1].place)) + " " + number(y.at(points[i - 1].low));
  return result + "Z";
}

}  // namespace

std::string plot_lines(const std::string& title, const std::string& horizontal, const std::vector<Line>& lines) {
  std::vector<std::vector<Point>> all;
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  size_t steps = 1;
  std::vector<double> lows;
  std::vector<double> highs;
  double highest = -std::numeric_limits<double>::infinity();
  for (const Line& line : lines) {
    all.push_back(points_of(line.values));
    steps = std::max(steps, line.values.size());
    for (const Point& point : all.back()) {
      lows.push_back(point.low);
      highs.push_back(point.high);
      if (line.highest) highest = std::max(highest, point.high);
    }
  }
  if (!lows.empty()) {
    // A few wild values at the start of a run must not flatten the rest.
    const auto part = static_cast<std::ptrdiff_t>(lows.size() / 100);
    std::sort(lows.begin(), lows.end());
    std::sort(highs.begin(), highs.end());
    low = lows[static_cast<size_t>(part)];
    high = std::max(highs[highs.size() - 1 - static_cast<size_t>(part)], highest);
  }
  if (!(low < high)) {
    low = std::isfinite(low) ? low - 1 : 0;
    high = low + 2;
  }
  const double margin = (high - low) / 20;
  const Axis x{1, std::max(2.0, static_cast<double>(steps)), kLeft, kWidth - kRight};
  const Axis y{low - margin, high + margin, kHeight - kBottom, kTop};
  std::string svg = open_svg(kWidth, kHeight);
  svg += "<g font-size='15'>" + text(kLeft, 22, "start", title) + "</g>\n";
  svg += "<clipPath id='area'><rect x='" + number(kLeft) + "' y='" + number(kTop) + "' width='" +
         number(kWidth - kLeft - kRight) + "' height='" + number(kHeight - kTop - kBottom) + "'/></clipPath>\n";
  const double y_step = tick_step(y.high - y.low);
  for (double tick = std::ceil(y.low / y_step) * y_step; tick <= y.high; tick += y_step) {
    svg += "<path stroke='#ddd' d='M" + number(kLeft) + " " + number(y.at(tick)) + "H" + number(kWidth - kRight) +
           "'/>\n" + text(kLeft - 8, y.at(tick) + 4, "end", tick_label(tick, y_step));
  }
  const double x_step = std::max(1.0, tick_step(x.high - x.low));
  for (double tick = std::ceil(x.low / x_step) * x_step; tick <= x.high; tick += x_step) {
    svg += text(x.at(tick), kHeight - kBottom + 18, "middle", format_count(static_cast<uint64_t>(tick)));
  }
  svg += text((kLeft + kWidth - kRight) / 2, kHeight - 10, "middle", horizontal);
  double legend = kLeft;
  for (size_t i = 0; i < lines.size(); ++i) {
    svg += "<g fill='" + std::string(color(i)) + "'>" + text(legend, 44, "start", "■ " + lines[i].name) + "</g>\n";
    legend += 40 + 8 * static_cast<double>(lines[i].name.size());
    if (all[i].empty()) continue;
    svg += "<g clip-path='url(#area)'><path fill='" + std::string(color(i)) + "' fill-opacity='0.18' d='" +
           band(all[i], x, y) + "'/>\n<path fill='none' stroke-width='1.5' stroke='" + color(i) + "' d='" +
           path(all[i], x, y, lines[i].highest ? &Point::high : &Point::mean) + "'/></g>\n";
  }
  return svg + "</svg>\n";
}

std::string plot_sequences(std::span<const float> samples, size_t steps, size_t channels, float low, float high,
                           size_t columns, const std::vector<std::string>& legend) {
  constexpr double kCellWidth = 160;
  constexpr double kLegendLine = 18;
  constexpr double kCellHeight = 90;
  constexpr double kGap = 8;
  const size_t count = samples.size() / (steps * channels);
  columns = std::clamp<size_t>(columns, 1, std::max<size_t>(count, 1));
  const size_t rows = (count + columns - 1) / columns;
  const double above = kLegendLine * static_cast<double>(legend.size());
  std::string svg =
      open_svg(std::max(kGap + static_cast<double>(columns) * (kCellWidth + kGap), legend.empty() ? 0 : 340.0),
               kGap + above + static_cast<double>(rows) * (kCellHeight + kGap));
  for (size_t c = 0; c < legend.size(); ++c) {
    svg += "<g fill='" + std::string(color(c)) + "'>" +
           text(kGap, kLegendLine * static_cast<double>(c + 1), "start", "■ " + legend[c]) + "</g>\n";
  }
  for (size_t n = 0; n < count; ++n) {
    const size_t row = n / columns;
    const double left = kGap + static_cast<double>(n % columns) * (kCellWidth + kGap);
    const double top = kGap + above + static_cast<double>(row) * (kCellHeight + kGap);
    svg += "<rect fill='none' stroke='#ccc' x='" + number(left) + "' y='" + number(top) + "' width='" +
           number(kCellWidth) + "' height='" + number(kCellHeight) + "'/>\n";
    const Axis x{0, std::max(1.0, static_cast<double>(steps - 1)), left, left + kCellWidth};
    const Axis y{low, high, top + kCellHeight, top};
    for (size_t c = 0; c < channels; ++c) {
      std::string line;
      for (size_t t = 0; t < steps; ++t) {
        const float value = samples[(n * steps + t) * channels + c];
        if (!std::isfinite(value)) continue;
        line += (line.empty() ? "M" : "L") + number(x.at(static_cast<double>(t))) + " " +
                number(y.at(std::clamp(value, low, high)));
      }
      svg += "<path fill='none' stroke='" + std::string(color(c)) + "' d='" + line + "'/>\n";
    }
  }
  return svg + "</svg>\n";
}

}  // namespace figment::io
