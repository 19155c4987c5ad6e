// Checkpoints: going on is as if there had been no pause, and nothing that happens to the files loses both.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "allocations.h"
#include "platform/file.h"
#include "training.h"

using namespace figment::test;
namespace fs = std::filesystem;

namespace {

// A folder that is gone in the end.
struct Folder {
  Folder() : path(fs::temp_directory_path() / ("figment_checkpoint_" + std::to_string(getpid()))) {
    fs::remove_all(path);
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

std::atomic<int> g_left{-1};
std::atomic<bool> g_exits{false};

// The operation number g_left fails, or ends the process.
bool fail_later(figment::platform::FileOperation /*operation*/) {
  if (g_left.fetch_sub(1) != 0) return true;
  if (g_exits) _exit(7);
  return false;
}

void save(const Trainer& trainer, const Folder& folder, const std::string& note = "") {
  REQUIRE_MESSAGE(fig_checkpoint_save(trainer.session, folder.path.c_str(), note.data(), note.size()) == FIG_OK,
                  fig_error_message());
}

// The steps of the checkpoint that a fresh session finds, or nothing.
std::optional<uint64_t> steps_in(const Folder& folder) {
  Trainer trainer("tiny_vae");
  if (fig_checkpoint_load(trainer.session, folder.path.c_str(), nullptr, 0, nullptr) != FIG_OK) return std::nullopt;
  return fig_session_steps(trainer.session);
}

void flip(const fs::path& path, size_t at, uint8_t bits) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(static_cast<std::streamoff>(at));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(byte ^ bits));
}

}  // namespace

TEST_CASE("a resumed run is the run that never stopped, bit for bit") {
  for (const char* name : kTrainable) {
    for (const fig_kernels kernels : {FIG_KERNELS_BEST, FIG_KERNELS_PORTABLE}) {
      INFO(std::string(name));
      const Folder folder;
      fig_session_options options{};
      options.kernels = kernels;
      options.seed = 5;
      Trainer straight(name, options);
      Trainer first(name, options);
      for (int i = 0; i < 7; ++i) straight.step();
      for (int i = 0; i < 3; ++i) first.step();
      save(first, folder, "note");
      options.seed = 99;  // the checkpoint's counts
      Trainer second(name, options);
      char note[8] = {};
      size_t size = 0;
      REQUIRE_MESSAGE(fig_checkpoint_load(second.session, folder.path.c_str(), note, sizeof note, &size) == FIG_OK,
                      fig_error_message());
      CHECK(std::string(note, size) == "note");
      CHECK(fig_session_steps(second.session) == 3);
      for (int i = 0; i < 4; ++i) second.step();
      CHECK(straight.parameters() == second.parameters());
    }
  }
}

TEST_CASE("a save that fails or is killed at any operation leaves the checkpoint before or the new one") {
  const Folder folder;
  Trainer trainer("tiny_vae");
  trainer.step();
  save(trainer, folder);
  uint64_t before = 1;
  int reached = 0;
  for (const bool exits : {false, true}) {
    for (int n = 0; n < 1000; ++n) {
      trainer.step();
      const uint64_t now = fig_session_steps(trainer.session);
      bool saved = false;
      if (exits) {
        const pid_t child = fork();
        if (child == 0) {
          g_left = n;
          g_exits = true;
          figment::platform::set_file_hook(fail_later);
          _exit(fig_checkpoint_save(trainer.session, folder.path.c_str(), nullptr, 0) == FIG_OK ? 0 : 1);
        }
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        REQUIRE(WIFEXITED(status));
        saved = WEXITSTATUS(status) == 0;
      } else {
        g_left = n;
        g_exits = false;
        figment::platform::set_file_hook(fail_later);
        saved = fig_checkpoint_save(trainer.session, folder.path.c_str(), nullptr, 0) == FIG_OK;
        figment::platform::set_file_hook(nullptr);
      }
      const std::optional<uint64_t> found = steps_in(folder);
      REQUIRE(found);
      if (saved) {
        CHECK(*found == now);
        before = now;
        break;
      }
      CHECK((*found == before || *found == now));
      before = *found;
      reached = std::max(reached, n);
    }
  }
  CHECK(reached > 10);
  // What was killed left a file beside a checkpoint, which the next save of either removes; what failed left none.
  std::ofstream(folder.path / "a.checkpoint.figment-partial") << "stale";
  std::ofstream(folder.path / "b.checkpoint.figment-partial") << "stale";
  save(trainer, folder);
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder.path)) names.insert(entry.path().filename());
  CHECK(names == std::set<std::string>{"a.checkpoint", "b.checkpoint"});
}

TEST_CASE("saving and loading allocate nothing") {
  const Folder folder;
  Trainer trainer("tiny_vae");
  trainer.step();
  for (const char* path : {folder.path.c_str(), "/proc/no/such"}) {
    char note[] = "note";
    size_t size = 0;
    const size_t before = allocations();
    REQUIRE(before > 0);
    const fig_status saved = fig_checkpoint_save(trainer.session, path, note, sizeof note);
    const fig_status loaded = fig_checkpoint_load(trainer.session, path, note, sizeof note, &size);
    CHECK(allocations() == before);
    CHECK((saved == FIG_OK) == (loaded == FIG_OK));
  }
}

TEST_CASE("a corrupt checkpoint is passed over for the one before") {
  const Folder folder;
  Trainer trainer("tiny_vae");
  for (int i = 0; i < 2; ++i) {
    trainer.step();
    save(trainer, folder);
  }
  const fs::path newer = folder.path / "b.checkpoint";
  const auto size = static_cast<size_t>(fs::file_size(newer));
  size_t tried = 0;
  for (size_t at = 0; at < size; at += at < 60 || at + 32 >= size ? 1 : 97) {
    // Zeros that nothing reads.
    if ((at >= 60 && at < 128) || (at + 12 >= size && at + 8 < size) || at + 4 >= size) continue;
    if (at + 16 > size && at + 12 < size) continue;
    flip(newer, at, static_cast<uint8_t>(1U << (at % 8)));
    const std::optional<uint64_t> found = steps_in(folder);
    const bool padding = at >= size - 12 && at < size - 8;
    CHECK_MESSAGE((found == std::optional<uint64_t>(1) || padding), at);
    flip(newer, at, static_cast<uint8_t>(1U << (at % 8)));
    ++tried;
  }
  CHECK(tried > 100);
  CHECK(steps_in(folder) == std::optional<uint64_t>(2));
  fs::resize_file(newer, size - 1);
  CHECK(steps_in(folder) == std::optional<uint64_t>(1));
  fs::resize_file(newer, 0);
  CHECK(steps_in(folder) == std::optional<uint64_t>(1));
  fs::resize_file(folder.path / "a.checkpoint", 100);
  CHECK(fig_checkpoint_load(trainer.session, folder.path.c_str(), nullptr, 0, nullptr) == FIG_BAD_FILE);
}

TEST_CASE("checkpoints that do not fit are refused, and nothing changes") {
  const Folder folder;
  Trainer trainer("tiny_vae");
  CHECK(fig_checkpoint_load(trainer.session, folder.path.c_str(), nullptr, 0, nullptr) == FIG_NOT_FOUND);
  trainer.step();
  save(trainer, folder, "twelve bytes");
  const auto before = trainer.parameters();
  char small[4];
  CHECK(fig_checkpoint_load(trainer.session, folder.path.c_str(), small, sizeof small, nullptr) ==
        FIG_INVALID_ARGUMENT);
  Trainer other("tiny_gan");
  CHECK(fig_checkpoint_load(other.session, folder.path.c_str(), nullptr, 0, nullptr) == FIG_INVALID_ARGUMENT);
  CHECK(std::string(fig_error_message()).find("another model") != std::string::npos);
  CHECK(trainer.parameters() == before);
  CHECK(fig_checkpoint_save(trainer.session, "/proc/no/such", nullptr, 0) == FIG_IO_ERROR);
}
