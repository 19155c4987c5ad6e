#include "evaluation/scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace figment::evaluation {

namespace {

using Matrix = Eigen::MatrixXd;

struct Gaussian {
  Eigen::VectorXd mean;
  Matrix covariance;
};

Gaussian fitted(const Features& rows) {
  Gaussian result;
  const Matrix values = rows.cast<double>();
  result.mean = values.colwise().mean();
  const Matrix centered = values.rowwise() - result.mean.transpose();
  result.covariance = centered.transpose() * centered / static_cast<double>(std::max<Eigen::Index>(rows.rows() - 1, 1));
  return result;
}

Matrix square_root(const Matrix& symmetric) {
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(symmetric);
  const Eigen::VectorXd roots = solver.eigenvalues().cwiseMax(0).cwiseSqrt();
  return solver.eigenvectors() * roots.asDiagonal() * solver.eigenvectors().transpose();
}

// Squared distances of rows, [a, b].
Features squared_distances(const Features& a, const Features& b) {
  Features distances = -2 * a * b.transpose();
  distances.colwise() += a.rowwise().squaredNorm();
  distances.rowwise() += b.rowwise().squaredNorm().transpose();
  return distances.cwiseMax(0);
}

// The squared distance of each row to its `neighbors`th nearest other row.
std::vector<float> radii(const Features& rows, size_t neighbors) {
  const Features distances = squared_distances(rows, rows);
  std::vector<float> result;
  for (Eigen::Index i = 0; i < rows.rows(); ++i) {
    std::vector<float> others;
    for (Eigen::Index j = 0; j < rows.rows(); ++j) {
      if (j != i) others.push_back(distances(i, j));
    }
    if (others.empty()) return {0};
    const size_t place = std::min(neighbors, others.size()) - 1;
    std::nth_element(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(place), others.end());
    result.push_back(others[place]);
  }
  return result;
}

double covered(const Features& rows, const Features& by, const std::vector<float>& radius) {
  const Features distances = squared_distances(rows, by);
  size_t inside = 0;
  for (Eigen::Index i = 0; i < rows.rows(); ++i) {
    bool found = false;
    for (Eigen::Index j = 0; j < by.rows() && !found; ++j) found = distances(i, j) <= radius[static_cast<size_t>(j)];
    inside += found ? 1 : 0;
  }
  return static_cast<double>(inside) / static_cast<double>(rows.rows());
}

// The discrepancy of the rows whose sign is 1 and those whose sign is -1, from all kernel values: for n rows of each
// sign, (sum of k(i, j) s_i s_j over i != j, within) / (n (n - 1)) and across / n^2.
double discrepancy(const Features& kernel, const std::vector<int8_t>& signs) {
  const Eigen::Index count = kernel.rows();
  Eigen::VectorXf first(count);
  for (Eigen::Index i = 0; i < count; ++i) first[i] = signs[static_cast<size_t>(i)] > 0 ? 1 : 0;
  const Eigen::VectorXf second = Eigen::VectorXf::Ones(count) - first;
  const Eigen::VectorXd to_first = (kernel * first).cast<double>();
  const Eigen::VectorXd to_second = (kernel * second).cast<double>();
  const Eigen::VectorXd diagonal = kernel.diagonal().cast<double>();
  const Eigen::VectorXd a = first.cast<double>();
  const Eigen::VectorXd b = second.cast<double>();
  const double n = a.sum();
  const double m = b.sum();
  return (a.dot(to_first) - a.dot(diagonal)) / (n * (n - 1)) + (b.dot(to_second) - b.dot(diagonal)) / (m * (m - 1)) -
         2 * a.dot(to_second) / (n * m);
}

}  // namespace

double frechet_distance(const Features& a, const Features& b) {
  const Gaussian p = fitted(a);
  const Gaussian q = fitted(b);
  const Matrix root = square_root(p.covariance);
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(root * q.covariance * root, Eigen::EigenvaluesOnly);
  const double cross = solver.eigenvalues().cwiseMax(0).cwiseSqrt().sum();
  return (p.mean - q.mean).squaredNorm() + p.covariance.trace() + q.covariance.trace() - 2 * cross;
}

Discrepancy kernel_discrepancy(const Features& a, const Features& b, size_t permutations, uint64_t seed) {
  Features all(a.rows() + b.rows(), a.cols());
  all << a, b;
  const Features kernel = ((all * all.transpose()).array() / static_cast<float>(a.cols()) + 1).cube().matrix();
  std::vector<int8_t> signs(static_cast<size_t>(all.rows()), -1);
  std::fill_n(signs.begin(), a.rows(), int8_t{1});
  Discrepancy result;
  result.squared = discrepancy(kernel, signs);
  std::mt19937_64 random(seed);
  size_t as_large = 1;
  for (size_t p = 0; p < permutations; ++p) {
    for (size_t i = signs.size(); i > 1; --i) std::swap(signs[i - 1], signs[random() % i]);
    as_large += discrepancy(kernel, signs) >= result.squared ? 1 : 0;
  }
  result.p_value = static_cast<double>(as_large) / static_cast<double>(permutations + 1);
  return result;
}

PrecisionRecall precision_recall(const Features& real, const Features& generated, size_t neighbors) {
  return {covered(generated, real, radii(real, neighbors)), covered(real, generated, radii(generated, neighbors))};
}

std::vector<Neighbor> nearest(const Features& from, const Features& to) {
  constexpr Eigen::Index kBlock = 4096;
  std::vector<Neighbor> result(static_cast<size_t>(from.rows()), {std::numeric_limits<double>::infinity(), 0});
  for (Eigen::Index first = 0; first < to.rows(); first += kBlock) {
    const Eigen::Index rows = std::min(kBlock, to.rows() - first);
    const Features distances = squared_distances(from, to.middleRows(first, rows));
    for (Eigen::Index i = 0; i < from.rows(); ++i) {
      Eigen::Index best = 0;
      const double squared = static_cast<double>(distances.row(i).minCoeff(&best));
      Neighbor& found = result[static_cast<size_t>(i)];
      if (squared < found.distance) found = {squared, static_cast<size_t>(first + best)};
    }
  }
  for (Neighbor& found : result) found.distance = std::sqrt(found.distance);
  return result;
}

double best_map_accuracy(const std::vector<std::vector<size_t>>& counts) {
  const size_t rows = counts.size();
  const size_t columns = rows == 0 ? 0 : counts[0].size();
  const size_t n = std::max(rows, columns);
  double total = 0;
  const auto cost = [&](size_t i, size_t j) {
    return i < rows && j < columns ? -static_cast<double>(counts[i][j]) : 0.0;
  };
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < columns; ++j) total -= cost(i, j);
  }
  if (total == 0) return 0;
  // The assignment of least cost by shortest augmenting paths, row by row, with potentials u of rows and v of columns
  // (Kuhn 1955, Munkres 1957, in the form of Jonker and Volgenant 1987). Index 0 stands for none.
  std::vector<double> u(n + 1);
  std::vector<double> v(n + 1);
  std::vector<size_t> row_of(n + 1);
  for (size_t row = 1; row <= n; ++row) {
    std::vector<double> distance(n + 1, std::numeric_limits<double>::infinity());
    std::vector<size_t> previous(n + 1);
    std::vector<bool> reached(n + 1);
    size_t column = 0;
    row_of[0] = row;
    do {
      reached[column] = true;
      double shortest = std::numeric_limits<double>::infinity();
      size_t next = 0;
      for (size_t j = 1; j <= n; ++j) {
        if (reached[j]) continue;
        const double reduced = cost(row_of[column] - 1, j - 1) - u[row_of[column]] - v[j];
        if (reduced < distance[j]) distance[j] = reduced, previous[j] = column;
        if (distance[j] < shortest) shortest = distance[j], next = j;
      }
      for (size_t j = 0; j <= n; ++j) {
        if (reached[j]) {
          u[row_of[j]] += shortest;
          v[j] -= shortest;
        } else {
          distance[j] -= shortest;
        }
      }
      column = next;
    } while (row_of[column] != 0);
    for (; column != 0; column = previous[column]) row_of[column] = row_of[previous[column]];
  }
  double right = 0;
  for (size_t j = 1; j <= n; ++j) right -= cost(row_of[j] - 1, j - 1);
  return right / total;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const Eigen::Map<const Eigen::ArrayXd> x(a.data(), static_cast<Eigen::Index>(a.size()));
  const Eigen::Map<const Eigen::ArrayXd> y(b.data(), static_cast<Eigen::Index>(b.size()));
  const Eigen::ArrayXd u = x - x.mean();
  const Eigen::ArrayXd v = y - y.mean();
  const double scale = std::sqrt(u.square().sum() * v.square().sum());
  return scale > 0 ? (u * v).sum() / scale : 0;
}

std::vector<double> power_spectrum(const Features& sequences, size_t steps, size_t channels) {
  const size_t bins = steps / 2 + 1;
  std::vector<double> result(channels * bins);
  for (Eigen::Index row = 0; row < sequences.rows(); ++row) {
    for (size_t c = 0; c < channels; ++c) {
      double mean = 0;
      for (size_t t = 0; t < steps; ++t)
        mean += static_cast<double>(sequences(row, static_cast<Eigen::Index>(t * channels + c)));
      mean /= static_cast<double>(steps);
      for (size_t k = 0; k < bins; ++k) {
        double real = 0;
        double imaginary = 0;
        for (size_t t = 0; t < steps; ++t) {
          const double value = static_cast<double>(sequences(row, static_cast<Eigen::Index>(t * channels + c))) - mean;
          const double angle = 2 * M_PI * static_cast<double>(k * t % steps) / static_cast<double>(steps);
          real += value * std::cos(angle);
          imaginary += value * std::sin(angle);
        }
        result[c * bins + k] += (real * real + imaginary * imaginary) / static_cast<double>(steps);
      }
    }
  }
  for (double& value : result) value /= static_cast<double>(std::max<Eigen::Index>(sequences.rows(), 1));
  return result;
}

Mean mean_of(const std::vector<double>& values) {
  Mean result;
  for (double value : values) result.mean += value / static_cast<double>(values.size());
  for (double value : values) result.deviation += (value - result.mean) * (value - result.mean);
  result.deviation = values.size() > 1 ? std::sqrt(result.deviation / static_cast<double>(values.size() - 1)) : 0;
  return result;
}

}  // namespace figment::evaluation
