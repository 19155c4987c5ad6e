#include "double_reference.h"
#include "functions.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace figment::test {

using converter::Graph;
using converter::Node;
using converter::OpKind;
using converter::ValueId;

namespace {

// A tensor with access by position.
struct Tensor {
  Extents shape;
  const Doubles* values = nullptr;

  size_t offset(const std::vector<size_t>& position) const {
    size_t result = 0;
    for (size_t i = 0; i < shape.rank(); ++i) result = result * shape[i] + (shape[i] == 1 ? 0 : position[i]);
    return result;
  }
  double at(const std::vector<size_t>& position) const { return (*values)[offset(position)]; }
};

// Every position of a shape, row-major.
void for_each(const Extents& shape, const std::function<void(const std::vector<size_t>&)>& call) {
  std::vector<size_t> position(shape.rank());
  for (size_t i = 0; i < shape.elements(); ++i) {
    call(position);
    for (size_t d = shape.rank(); d > 0; --d) {
      if (++position[d - 1] < shape[d - 1]) break;
      position[d - 1] = 0;
    }
  }
}

Doubles map_positions(const Extents& shape, const std::function<double(const std::vector<size_t>&)>& value) {
  Doubles result;
  for_each(shape, [&](const auto& position) { result.push_back(value(position)); });
  return result;
}

// The position in one axis of an input that tap k of output position p reads, or -1.
int64_t window_source(const format::Window& w, size_t axis, size_t p, size_t k, size_t extent) {
  const auto at = static_cast<int64_t>(p * w.stride[axis] + k * w.dilation[axis]) - w.padding[axis];
  return at >= 0 && at < static_cast<int64_t>(extent) ? at : -1;
}

// Of a piecewise linear function; `v` is its output, of abs its input.
double slope(const format::Attributes& a, double v) {
  switch (a.function) {
    case OpKind::kLeakyRelu: return v < 0 ? static_cast<double>(a.alpha) : 1;
    case OpKind::kClamp: return v > static_cast<double>(a.clamp_min) && v < static_cast<double>(a.clamp_max) ? 1 : 0;
    default: return v < 0 ? -1 : 1;  // abs
  }
}

class Evaluator {
 public:
  Evaluator(const Graph& graph, size_t batch) : graph_(graph), batch_(batch) {}

  Doubles run(const Node& node, const std::map<ValueId, Doubles>& values) const {
    std::vector<Tensor> in;
    for (ValueId id : node.inputs) in.push_back({extents(id), &values.at(id)});
    const Extents shape = extents(node.output);
    Doubles out = compute(node, in, shape);
    if (node.attributes.clamps() && node.kind != OpKind::kUnaryBackward) {
      for (double& y : out) y = std::clamp<double>(y, node.attributes.clamp_min, node.attributes.clamp_max);
    }
    return out;
  }

  Extents extents(ValueId id) const { return resolve_extents(graph_[id].shape, batch_); }

 private:
  static Doubles compute(const Node& node, const std::vector<Tensor>& in, const Extents& shape) {
    const auto& a = node.attributes;
    const format::Window& w = a.window;
    if (format::is_unary_function(node.kind)) {
      Doubles out;
      for (double x : *in[0].values) out.push_back(test::right_function(node.kind).value(a, x));
      return out;
    }
    switch (node.kind) {
      case OpKind::kAdd: return map_positions(shape, [&](const auto& p) { return in[0].at(p) + in[1].at(p); });
      case OpKind::kSubtract: return map_positions(shape, [&](const auto& p) { return in[0].at(p) - in[1].at(p); });
      case OpKind::kMultiply: return map_positions(shape, [&](const auto& p) { return in[0].at(p) * in[1].at(p); });
      case OpKind::kDivide: return map_positions(shape, [&](const auto& p) { return in[0].at(p) / in[1].at(p); });
      case OpKind::kGreater:
        return map_positions(shape, [&](const auto& p) { return in[0].at(p) > in[1].at(p) ? 1.0 : 0.0; });
      case OpKind::kEqual:
        return map_positions(shape, [&](const auto& p) { return in[0].at(p) == in[1].at(p) ? 1.0 : 0.0; });
      case OpKind::kSelect:
        return map_positions(shape, [&](const auto& p) { return in[0].at(p) != 0 ? in[1].at(p) : in[2].at(p); });
      case OpKind::kArgMax:
        return map_positions(shape, [&](const auto& p) {
          auto best = p;
          for (auto q = p; q[a.axes[0]] < in[0].shape[a.axes[0]]; ++q[a.axes[0]]) {
            if (in[0].at(q) > in[0].at(best)) best = q;
          }
          return static_cast<double>(best[a.axes[0]]);
        });
      case OpKind::kBroadcast: return map_positions(shape, [&](const auto& p) { return in[0].at(p); });
      case OpKind::kUnaryBackward:
        return map_positions(shape, [&](const auto& p) { return slope(node.attributes, in[0].at(p)) * in[1].at(p); });
      case OpKind::kReshape: return *in[0].values;
      case OpKind::kFullyConnected: {
        const size_t depth = in[1].shape[1];
        const size_t outputs = in[1].shape[0];
        Doubles out;
        for (size_t i = 0; i < shape.elements(); ++i) {
          double sum = in.size() == 3 ? (*in[2].values)[i % outputs] : 0;
          for (size_t k = 0; k < depth; ++k)
            sum += (*in[0].values)[i / outputs * depth + k] * (*in[1].values)[i % outputs * depth + k];
          out.push_back(sum);
        }
        return out;
      }
      case OpKind::kMatmul:
        return map_positions(shape, [&](const auto& p) {
          auto left = p;
          auto right = p;
          const size_t last = p.size() - 1;
          const size_t depth = in[0].shape[a.transpose_a ? last - 1 : last];
          double sum = 0;
          for (size_t k = 0; k < depth; ++k) {
            left[last - 1] = a.transpose_a ? k : p[last - 1];
            left[last] = a.transpose_a ? p[last - 1] : k;
            right[last - 1] = a.transpose_b ? p[last] : k;
            right[last] = a.transpose_b ? k : p[last];
            sum += in[0].at(left) * in[1].at(right);
          }
          return sum;
        });
      case OpKind::kConv2d:
      case OpKind::kConvTranspose2d: {
        const bool transposed = node.kind == OpKind::kConvTranspose2d;
        Doubles out = map_positions(shape, [&](const auto& p) { return in.size() == 3 ? (*in[2].values)[p[3]] : 0.0; });
        const size_t group_in = in[0].shape[3] / w.groups;
        const size_t group_out = shape[3] / w.groups;
        // Small: a convolution's output, a transposed convolution's input.
        const Extents& small = transposed ? in[0].shape : shape;
        const Extents& large = transposed ? shape : in[0].shape;
        for_each({small[0], small[1], small[2], w.kernel[0], w.kernel[1]}, [&](const auto& p) {
          const int64_t y = window_source(w, 0, p[1], p[3], large[1]);
          const int64_t x = window_source(w, 1, p[2], p[4], large[2]);
          if (y < 0 || x < 0) return;
          const std::vector<size_t> big = {p[0], static_cast<size_t>(y), static_cast<size_t>(x), 0};
          const std::vector<size_t> little = {p[0], p[1], p[2], 0};
          for (size_t o = 0; o < shape[3]; ++o) {
            for (size_t i = 0; i < group_in; ++i) {
              const size_t channel = o / group_out * group_in + i;
              const double weight = in[1].at({o, p[3], p[4], i});
              auto from = transposed ? little : big;
              auto to = transposed ? big : little;
              from[3] = channel;
              to[3] = o;
              out[Tensor{shape, nullptr}.offset(to)] += in[0].at(from) * weight;
            }
          }
        });
        return out;
      }
      case OpKind::kSoftmax:
        return map_positions(shape, [&](const auto& p) {
          auto q = p;
          double sum = 0;
          for (q[a.axes[0]] = 0; q[a.axes[0]] < shape[a.axes[0]]; ++q[a.axes[0]]) sum += std::exp(in[0].at(q));
          return std::exp(in[0].at(p)) / sum;
        });
      case OpKind::kConcat:
        return map_positions(shape, [&](const auto& p) {
          auto q = p;
          size_t i = 0;
          while (q[a.axes[0]] >= in[i].shape[a.axes[0]]) q[a.axes[0]] -= in[i++].shape[a.axes[0]];
          return in[i].at(q);
        });
      case OpKind::kSlice:
        return map_positions(shape, [&](const auto& p) {
          auto q = p;
          for (size_t i = 0; i < q.size(); ++i) q[i] = a.starts[i] + p[i] * a.steps[i];
          return in[0].at(q);
        });
      case OpKind::kPad:
        return map_positions(shape, [&](const auto& p) {
          auto q = p;
          for (size_t i = 0; i < q.size(); ++i) {
            auto at = static_cast<int64_t>(p[i]) - a.before[i];
            const auto last = static_cast<int64_t>(in[0].shape[i]) - 1;
            if (at < 0 || at > last) {
              if (a.pad_mode == format::PadMode::kConstant) return static_cast<double>(a.pad_value);
              at = a.pad_mode == format::PadMode::kEdge ? std::clamp<int64_t>(at, 0, last)
                   : at < 0                             ? -at
                                                        : 2 * last - at;
            }
            q[i] = static_cast<size_t>(at);
          }
          return in[0].at(q);
        });
      case OpKind::kTranspose:
        return map_positions(shape, [&](const auto& p) {
          auto q = p;
          for (size_t i = 0; i < q.size(); ++i) q[a.permutation[i]] = p[i];
          return in[0].at(q);
        });
      case OpKind::kResizeNearest:
        return map_positions(shape, [&](const auto& p) {
          return in[0].at(
              {p[0], static_cast<size_t>((*in[1].values)[p[1]]), static_cast<size_t>((*in[2].values)[p[2]]), p[3]});
        });
      case OpKind::kAveragePool2d:
      case OpKind::kMaxPool2d:
        return map_positions(shape, [&](const auto& p) {
          double sum = 0;
          double largest = -INFINITY;
          double count = 0;
          for_each({w.kernel[0], w.kernel[1]}, [&](const auto& k) {
            const int64_t y = window_source(w, 0, p[1], k[0], in[0].shape[1]);
            const int64_t x = window_source(w, 1, p[2], k[1], in[0].shape[2]);
            if (y < 0 || x < 0) {
              count += w.count_padding ? 1 : 0;  // every tap of the tests' windows lies inside the padded image
              return;
            }
            ++count;
            const double value = in[0].at({p[0], static_cast<size_t>(y), static_cast<size_t>(x), p[3]});
            sum += value;
            largest = std::max(largest, value);
          });
          return node.kind == OpKind::kMaxPool2d ? largest : sum / count;
        });
      case OpKind::kMean:
      case OpKind::kSum: {
        Doubles out(shape.elements());
        for_each(in[0].shape, [&](const auto& p) { out[Tensor{shape, nullptr}.offset(p)] += in[0].at(p); });
        const double count = static_cast<double>(in[0].shape.elements()) / static_cast<double>(out.size());
        if (node.kind == OpKind::kMean) {
          for (double& y : out) y /= count;
        }
        return out;
      }
      case OpKind::kBatchNormStatistics: {
        const size_t channels = in[0].shape.from_end(0);
        const size_t rows = in[0].values->size() / channels;
        Doubles out(3 * channels);
        for (size_t c = 0; c < channels; ++c) {
          for (size_t r = 0; r < rows; ++r) out[c] += (*in[0].values)[r * channels + c] / static_cast<double>(rows);
          double squares = 0;
          for (size_t r = 0; r < rows; ++r) squares += std::pow((*in[0].values)[r * channels + c] - out[c], 2);
          out[channels + c] = squares / static_cast<double>(rows);
          out[2 * channels + c] = squares / static_cast<double>(rows - 1);
        }
        return out;
      }
      case OpKind::kBatchNorm: {
        const size_t channels = in[2].values->size();
        Doubles out;
        for (size_t i = 0; i < in[0].values->size(); ++i) {
          const size_t c = i % channels;
          const double deviation = std::sqrt((*in[1].values)[channels + c] + a.alpha);
          out.push_back(((*in[0].values)[i] - (*in[1].values)[c]) / deviation * (*in[2].values)[c] +
                        (*in[3].values)[c]);
        }
        return out;
      }
      case OpKind::kLogSoftmax:
        return map_positions(shape, [&](const auto& p) {
          auto q = p;
          double sum = 0;
          for (q[a.axes[0]] = 0; q[a.axes[0]] < shape[a.axes[0]]; ++q[a.axes[0]]) sum += std::exp(in[0].at(q));
          return in[0].at(p) - std::log(sum);
        });
      case OpKind::kLayerNorm: {
        const size_t channels = in[1].values->size();
        Doubles out;
        for (size_t r = 0; r < in[0].values->size(); r += channels) {
          double mean = 0;
          double variance = 0;
          for (size_t c = 0; c < channels; ++c) mean += (*in[0].values)[r + c] / static_cast<double>(channels);
          for (size_t c = 0; c < channels; ++c)
            variance += std::pow((*in[0].values)[r + c] - mean, 2) / static_cast<double>(channels);
          for (size_t c = 0; c < channels; ++c)
            out.push_back(((*in[0].values)[r + c] - mean) / std::sqrt(variance + a.alpha) * (*in[1].values)[c] +
                          (*in[2].values)[c]);
        }
        return out;
      }
      case OpKind::kGroupNorm: {
        const size_t channels = shape[shape.rank() - 1];
        const size_t own = channels / a.groups;
        const size_t sample = in[0].values->size() / shape[0];
        const auto parameter = [&](size_t i, size_t c) { return (*in[i].values)[in[i].values->size() == 1 ? 0 : c]; };
        Doubles out(in[0].values->size());
        for (size_t n = 0; n < shape[0]; ++n) {
          for (size_t g = 0; g < a.groups; ++g) {
            std::vector<size_t> places;
            for (size_t i = n * sample; i < (n + 1) * sample; ++i) {
              if (i % channels / own == g) places.push_back(i);
            }
            const auto count = static_cast<double>(places.size());
            double mean = 0;
            double variance = 0;
            for (size_t i : places) mean += (*in[0].values)[i] / count;
            for (size_t i : places) variance += std::pow((*in[0].values)[i] - mean, 2) / count;
            for (size_t i : places) {
              out[i] = ((*in[0].values)[i] - mean) / std::sqrt(variance + a.alpha) * parameter(1, i % channels) +
                       parameter(2, i % channels);
            }
          }
        }
        return out;
      }
      case OpKind::kReverse:
        return map_positions(shape, [&](const auto& p) {
          auto q = p;
          const size_t count = in.size() == 2 ? static_cast<size_t>((*in[1].values)[p[1]]) : shape[a.axes[0]];
          if (p[a.axes[0]] < count) q[a.axes[0]] = count - 1 - p[a.axes[0]];
          return in[0].at(q);
        });
      case OpKind::kMaskSequence:
        return map_positions(shape, [&](const auto& p) {
          return static_cast<double>(p[0]) < (*in[1].values)[p[1]] ? in[0].at(p) : 0.0;
        });
      case OpKind::kLstm:
      case OpKind::kGru: return recurrent(node, in, shape);
      default: throw std::runtime_error(std::string("no double-precision reference for ") + format::name_of(node.kind));
    }
  }

  // By the equations of op.h, one number at a time.
  static Doubles recurrent(const Node& node, const std::vector<Tensor>& in, const Extents& shape) {
    const bool lstm = node.kind == OpKind::kLstm;
    const size_t blocks = lstm ? 4 : 3;
    const size_t steps = shape[1];
    const size_t batch = shape[2];
    const size_t hidden = shape[3];
    const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
    Doubles out(shape.elements());
    const auto at = [&](size_t plane, size_t t, size_t n, size_t j) -> double& {
      return out[((plane * steps + t) * batch + n) * hidden + j];
    };
    for (size_t n = 0; n < batch; ++n) {
      Doubles h(hidden);
      Doubles c(hidden);
      for (size_t j = 0; j < hidden; ++j) {
        h[j] = in[lstm ? 2 : 3].at({n, j});
        c[j] = lstm ? in[3].at({n, j}) : 0;
      }
      const double length = in.size() == 5 ? (*in[4].values)[n] : static_cast<double>(steps);
      for (size_t t = 0; t < steps; ++t) {
        const auto gate = [&](size_t block, size_t j) { return in[0].at({t, n, block * hidden + j}); };
        const auto product = [&](size_t block, size_t j, const Doubles& x) {
          double sum = 0;
          for (size_t k = 0; k < hidden; ++k) sum += in[1].at({block * hidden + j, k}) * x[k];
          return sum;
        };
        if (static_cast<double>(t) < length && lstm) {
          Doubles next(hidden);
          for (size_t j = 0; j < hidden; ++j) {
            double value[4];
            for (size_t block = 0; block < blocks; ++block) {
              const double sum = gate(block, j) + product(block, j, h);
              value[block] = block == 3 ? std::tanh(sum) : sigmoid(sum);
              at(block, t, n, j) = value[block];
            }
            c[j] = value[2] * c[j] + value[0] * value[3];
            next[j] = value[1] * std::tanh(c[j]);
          }
          h = next;
        } else if (static_cast<double>(t) < length) {
          const auto bias = [&](size_t block, size_t j) { return (*in[2].values)[block * hidden + j]; };
          Doubles z(hidden);
          Doubles r(hidden);
          Doubles reset(hidden);
          Doubles next(hidden);
          for (size_t j = 0; j < hidden; ++j) {
            z[j] = sigmoid(gate(0, j) + product(0, j, h) + bias(0, j));
            r[j] = sigmoid(gate(1, j) + product(1, j, h) + bias(1, j));
            reset[j] = r[j] * h[j];
          }
          for (size_t j = 0; j < hidden; ++j) {
            const bool linear_first = node.attributes.linear_before_reset;
            const double q = linear_first ? product(2, j, h) + bias(2, j) : reset[j];
            const double inner = linear_first ? r[j] * q : product(2, j, reset) + bias(2, j);
            const double candidate = std::tanh(gate(2, j) + inner);
            next[j] = (1 - z[j]) * candidate + z[j] * h[j];
            at(0, t, n, j) = z[j];
            at(1, t, n, j) = r[j];
            at(2, t, n, j) = candidate;
            at(3, t, n, j) = q;
          }
          h = next;
        }
        for (size_t j = 0; j < hidden; ++j) {
          at(lstm ? 5 : 4, t, n, j) = h[j];
          if (lstm) at(4, t, n, j) = c[j];
        }
      }
    }
    return out;
  }

  const Graph& graph_;
  size_t batch_;
};

}  // namespace

std::map<ValueId, Doubles> evaluate(const Graph& graph, std::map<ValueId, Doubles> values, size_t batch) {
  for (ValueId id = 0; id < graph.values.size(); ++id) {
    const converter::Value& value = graph[id];
    if (!value.is_constant() || values.contains(id)) continue;
    if (value.type == format::DataType::kI32) {
      const auto* integers = reinterpret_cast<const int32_t*>(value.constant->bytes.data());
      values[id].assign(integers, integers + value.elements());
    } else if (value.type == format::DataType::kI8) {
      // Weights beside f32: a scale for each index of dimension 0.
      const auto* integers = reinterpret_cast<const int8_t*>(value.constant->bytes.data());
      const size_t row = value.elements() / value.scales.size();
      for (size_t i = 0; i < value.elements(); ++i)
        values[id].push_back(static_cast<double>(value.scales[i / row]) * integers[i]);
    } else {
      values[id].assign(value.f32().begin(), value.f32().end());
    }
  }
  const Evaluator evaluator(graph, batch);
  for (const Node& node : graph.nodes) values[node.output] = evaluator.run(node, values);
  return values;
}

}  // namespace figment::test
