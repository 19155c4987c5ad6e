#include "evaluation/random_features.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace figment::evaluation {

namespace {

constexpr uint64_t kSeed = 20261127;
constexpr size_t kOutputs[] = {32, 64, 32};
constexpr size_t kKernel = 3;
constexpr size_t kTaps = kKernel * kKernel;
constexpr size_t kSmall = 4;     // pixels, from which on images do not shrink any more
constexpr float kScale = 10.0F;  // so that distances are of the size that people read

// N(0, 1) by Box and Muller 1958: std::normal_distribution differs between standard libraries.
class Normal {
 public:
  float draw() {
    const double u = (static_cast<double>(random_() >> 11) + 0.5) * 0x1p-53;
    const double v = static_cast<double>(random_() >> 11) * 0x1p-53;
    return static_cast<float>(std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * v));
  }

 private:
  std::mt19937_64 random_{kSeed};
};

// The pixels under each tap, zeros beyond the border: [out_height * out_width, 9 * channels] of [height, width,
// channels].
void spread(const Features& image, size_t height, size_t width, size_t stride, Features* out) {
  const auto channels = image.cols();
  const size_t out_width = (width + stride - 1) / stride;
  for (Eigen::Index row = 0; row < out->rows(); ++row) {
    const size_t y = static_cast<size_t>(row) / out_width * stride;
    const size_t x = static_cast<size_t>(row) % out_width * stride;
    for (size_t tap = 0; tap < kTaps; ++tap) {
      const size_t v = y + tap / kKernel;  // one more than the pixel's
      const size_t u = x + tap % kKernel;
      auto part = out->row(row).segment(static_cast<Eigen::Index>(tap) * channels, channels);
      if (v < 1 || v > height || u < 1 || u > width)
        part.setZero();
      else
        part = image.row(static_cast<Eigen::Index>((v - 1) * width + u - 1));
    }
  }
}

}  // namespace

RandomFeatures::RandomFeatures(size_t channels, size_t height, size_t width) {
  Normal normal;
  for (const size_t outputs : kOutputs) {
    Layer layer{channels, height, width, std::min(height, width) > kSmall ? size_t{2} : size_t{1},
                rows(kTaps * channels, outputs)};
    const float deviation = std::sqrt(2.0F / static_cast<float>(kTaps * channels));
    for (Eigen::Index i = 0; i < layer.weights.size(); ++i) layer.weights.data()[i] = deviation * normal.draw();
    channels = outputs;
    height = layer.out_height();
    width = layer.out_width();
    layers_.push_back(std::move(layer));
  }
}

Features RandomFeatures::of(const Features& images) const {
  Features result = rows(static_cast<size_t>(images.rows()), kFeatures);
  std::vector<Features> taps;
  for (const Layer& layer : layers_)
    taps.push_back(rows(layer.out_height() * layer.out_width(), kTaps * layer.channels));
  const auto channels = static_cast<Eigen::Index>(layers_[0].channels);
  const auto pixels = static_cast<Eigen::Index>(layers_[0].height * layers_[0].width);
  const size_t height = layers_.back().out_height();
  const size_t width = layers_.back().out_width();
  for (Eigen::Index n = 0; n < images.rows(); ++n) {
    // [channels, pixels] as [pixels, channels].
    Features x = Eigen::Map<const Features>(images.row(n).data(), channels, pixels).transpose();
    for (size_t i = 0; i < layers_.size(); ++i) {
      spread(x, layers_[i].height, layers_[i].width, layers_[i].stride, &taps[i]);
      x.noalias() = taps[i] * layers_[i].weights;
      x = x.array().max(0.0F).matrix();
    }
    for (size_t quarter = 0; quarter < 4; ++quarter) {
      // Of an image of one pixel in a direction, all quarters are that pixel.
      const auto part = [](size_t half, size_t extent) {
        const size_t first = std::min(half * ((extent + 1) / 2), extent - 1);
        return std::pair{first, half == 0 ? (extent + 1) / 2 : extent};
      };
      const auto [top, bottom] = part(quarter / 2, height);
      const auto [left, right] = part(quarter % 2, width);
      Eigen::RowVectorXf sum = Eigen::RowVectorXf::Zero(x.cols());
      for (size_t y = top; y < bottom; ++y) {
        for (size_t column = left; column < right; ++column)
          sum += x.row(static_cast<Eigen::Index>(y * width + column));
      }
      result.row(n).segment(static_cast<Eigen::Index>(quarter) * x.cols(), x.cols()) =
          sum * (kScale / static_cast<float>((bottom - top) * (right - left)));
    }
  }
  return result;
}

Features projected(const Features& given, size_t size) {
  Normal normal;
  Features matrix = rows(static_cast<size_t>(given.cols()), size);
  const float deviation = 1 / std::sqrt(static_cast<float>(size));
  for (Eigen::Index i = 0; i < matrix.size(); ++i) matrix.data()[i] = deviation * normal.draw();
  return given * matrix;
}

}  // namespace figment::evaluation
