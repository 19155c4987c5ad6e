#include "passes/optimize.h"

#include "passes/fold.h"
#include "passes/layout.h"
#include "passes/simplify.h"

namespace figment::converter {

std::vector<std::string> simplify(Graph* graph) {
  std::vector<std::string> notes = fold_constants(graph);
  const auto add = [&notes](const std::vector<std::string>& more) {
    notes.insert(notes.end(), more.begin(), more.end());
    return !more.empty();
  };
  add(fold_affine(graph));
  if (add(merge_branches(graph))) {
    remove_dead(graph);
    add(fold_affine(graph));
  }
  add(fuse_clamps(graph));
  remove_dead(graph);
  return notes;
}

std::vector<std::string> optimize(Graph* graph) {
  // What an importer has rearranged is held twice until here.
  remove_dead(graph);
  // Constants have no layout of their own, so they are computed first.
  std::vector<std::string> notes = fold_constants(graph);
  const auto add = [&notes](const std::vector<std::string>& more) {
    notes.insert(notes.end(), more.begin(), more.end());
  };
  add(assign_layouts(graph));
  remove_dead(graph);
  sink_reshapes(graph);
  add(simplify(graph));
  return notes;
}

}  // namespace figment::converter
