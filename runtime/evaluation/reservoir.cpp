#include "evaluation/reservoir.h"

#include <cmath>
#include <functional>
#include <random>

namespace figment::evaluation {

namespace {

using Matrix = Eigen::MatrixXd;

constexpr Eigen::Index kUnits = 128;
constexpr double kSpectralRadius = 0.9;
constexpr double kRidge = 1e-4;  // of the mean square of a feature, for each sample

// Random weights: the same in every run.
Matrix random_matrix(Eigen::Index rows, Eigen::Index columns, uint64_t seed) {
  std::mt19937_64 random(seed);
  Matrix result(rows, columns);
  for (Eigen::Index i = 0; i < result.size(); ++i) result.data()[i] = static_cast<double>(random() >> 11) * 0x1p-52 - 1;
  return result;
}

// x(t) = tanh(A u(t) + b + W x(t - 1)) for all sequences at once; inputs are scaled to the mean 0 and deviation 1 that
// the real ones have.
class Reservoir {
 public:
  Reservoir(const Features& real, const SequenceForm& form) : form_(form) {
    const auto features = static_cast<Eigen::Index>(form.features);
    in_ = random_matrix(features, kUnits, 1);
    bias_ = random_matrix(1, kUnits, 2);
    recurrent_ = random_matrix(kUnits, kUnits, 3);
    recurrent_ *= kSpectralRadius / recurrent_.eigenvalues().cwiseAbs().maxCoeff();
    mean_ = Matrix::Zero(1, features);
    Matrix squares = Matrix::Zero(1, features);
    for (size_t t = 0; t < form.steps; ++t) {
      const Matrix u = values(real, t);
      mean_ += u.colwise().mean() / static_cast<double>(form.steps);
      squares += u.cwiseAbs2().colwise().mean() / static_cast<double>(form.steps);
    }
    scale_ = (squares - mean_.cwiseAbs2()).cwiseMax(1e-12).cwiseSqrt().cwiseInverse();
  }

  Matrix values(const Features& rows, size_t t) const {
    const auto features = static_cast<Eigen::Index>(form_.features);
    return rows.middleCols(static_cast<Eigen::Index>(t) * features, features).cast<double>();
  }

  // Calls `see` with the inputs, scaled, and the states after each step.
  void run(const Features& rows, const std::function<void(size_t, const Matrix&, const Matrix&)>& see) const {
    Matrix state = Matrix::Zero(rows.rows(), kUnits);
    for (size_t t = 0; t < form_.steps; ++t) {
      const Matrix u = ((values(rows, t).rowwise() - mean_.row(0)).array().rowwise() * scale_.row(0).array()).matrix();
      state = ((u * in_ + state * recurrent_).rowwise() + bias_.row(0)).array().tanh().matrix();
      see(t, u, state);
    }
  }

 private:
  SequenceForm form_;
  Matrix in_;
  Matrix bias_;
  Matrix recurrent_;
  Matrix mean_;
  Matrix scale_;
};

// Least squares of `targets` on `inputs` (and 1), summed up over blocks of rows.
class Ridge {
 public:
  void add(const Matrix& inputs, const Matrix& targets) {
    const Matrix rows = with_one(inputs);
    if (gram_.size() == 0) {
      gram_ = Matrix::Zero(rows.cols(), rows.cols());
      products_ = Matrix::Zero(rows.cols(), targets.cols());
    }
    gram_ += rows.transpose() * rows;
    products_ += rows.transpose() * targets;
  }
  void solve() {
    gram_.diagonal() *= 1 + kRidge;
    gram_.diagonal().array() += 1e-9;
    weights_ = gram_.ldlt().solve(products_);
  }
  Matrix predict(const Matrix& inputs) const { return with_one(inputs) * weights_; }

 private:
  static Matrix with_one(const Matrix& inputs) {
    Matrix rows(inputs.rows(), inputs.cols() + 1);
    rows << inputs, Matrix::Ones(inputs.rows(), 1);
    return rows;
  }

  Matrix gram_;
  Matrix products_;
  Matrix weights_;
};

// What a sequence is classified by: the means and mean squares of the states over time, and the last.
Matrix summary(const Reservoir& reservoir, const Features& rows, size_t steps) {
  Matrix result = Matrix::Zero(rows.rows(), 3 * kUnits);
  reservoir.run(rows, [&](size_t t, const Matrix& /*inputs*/, const Matrix& states) {
    result.leftCols(kUnits) += states / static_cast<double>(steps);
    result.middleCols(kUnits, kUnits) += states.cwiseAbs2() / static_cast<double>(steps);
    if (t + 1 == steps) result.rightCols(kUnits) = states;
  });
  return result;
}

Matrix beside(const Matrix& a, const Matrix& b) {
  Matrix both(a.rows(), a.cols() + b.cols());
  both << a, b;
  return both;
}

}  // namespace

double discriminative_score(const Features& real, const Features& generated, const SequenceForm& form) {
  const Reservoir reservoir(real, form);
  const Matrix a = summary(reservoir, real, form.steps);
  const Matrix b = summary(reservoir, generated, form.steps);
  Ridge ridge;
  ridge.add(a.topRows(a.rows() / 2), Matrix::Ones(a.rows() / 2, 1));
  ridge.add(b.topRows(b.rows() / 2), -Matrix::Ones(b.rows() / 2, 1));
  ridge.solve();
  const Matrix on_real = ridge.predict(a.bottomRows(a.rows() - a.rows() / 2));
  const Matrix on_generated = ridge.predict(b.bottomRows(b.rows() - b.rows() / 2));
  const double right = (on_real.array() > 0).cast<double>().mean() + (on_generated.array() <= 0).cast<double>().mean();
  return std::fabs(right / 2 - 0.5);
}

double predictive_score(const Features& real, const Features& generated, const SequenceForm& form) {
  const Reservoir reservoir(real, form);
  Ridge ridge;
  reservoir.run(generated, [&](size_t t, const Matrix& inputs, const Matrix& states) {
    if (t + 1 < form.steps) ridge.add(beside(inputs, states), reservoir.values(generated, t + 1));
  });
  ridge.solve();
  double sum = 0;
  reservoir.run(real, [&](size_t t, const Matrix& inputs, const Matrix& states) {
    if (t + 1 < form.steps)
      sum += (ridge.predict(beside(inputs, states)) - reservoir.values(real, t + 1)).cwiseAbs().mean();
  });
  return sum / static_cast<double>(form.steps - 1);
}

}  // namespace figment::evaluation
