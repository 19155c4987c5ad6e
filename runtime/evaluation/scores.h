// How like real samples generated ones are, and other figures of quality. Features are rows; all results are pure
// functions of the arguments.
#pragma once

#include <Eigen/Dense>
#include <cstdint>
#include <vector>

namespace figment::evaluation {

using Features = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;  // [samples, features]

inline Features rows(size_t count, size_t elements) {
  return Features(static_cast<Eigen::Index>(count), static_cast<Eigen::Index>(elements));
}

// The Fréchet distance of Gaussians fitted to two sets (Heusel et al. 2017, equation 6), of any number of rows each:
// |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).
double frechet_distance(const Features& a, const Features& b);

// The unbiased squared maximum mean discrepancy under the kernel (x y / features + 1)^3 (Binkowski et al. 2018) and the
// share of `permutations` random splits of both sets whose discrepancy is as large: small where the sets differ.
struct Discrepancy {
  double squared = 0;
  double p_value = 0;
};
Discrepancy kernel_discrepancy(const Features& a, const Features& b, size_t permutations, uint64_t seed);

// The share of generated samples that lie among the real ones, and of real among the generated (Kynkäänniemi et al.
// 2019): within the distance of some sample of the set to its `neighbors`th nearest neighbor.
struct PrecisionRecall {
  double precision = 0;
  double recall = 0;
};
PrecisionRecall precision_recall(const Features& real, const Features& generated, size_t neighbors);

// The distance of each row of `from` to its nearest row of `to`, and which that is.
struct Neighbor {
  double distance = 0;
  size_t index = 0;
};
std::vector<Neighbor> nearest(const Features& from, const Features& to);

// The accuracy of clusters as classes under the best map of clusters to different classes; counts[cluster][class].
double best_map_accuracy(const std::vector<std::vector<size_t>>& counts);

// Pearson's correlation; 0 where one does not vary.
double correlation(const std::vector<double>& a, const std::vector<double>& b);

// The mean power spectrum of sequences [steps, channels] in rows, mean taken off: [channels * (steps / 2 + 1)].
std::vector<double> power_spectrum(const Features& sequences, size_t steps, size_t channels);

struct Mean {
  double mean = 0;
  double deviation = 0;  // of a single value (n - 1); 0 for one value
};
Mean mean_of(const std::vector<double>& values);

}  // namespace figment::evaluation
