#include "io/program.h"

#include <csignal>
#include <exception>
#include <new>
#include <stdexcept>

#include "io/terminal.h"

namespace figment::io {

int run_program(const std::string& name, const std::function<int()>& run) {
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    const int status = run();
    finish_output();
    return status;
  } catch (const std::bad_alloc&) {
    print_error(name + ": out of memory");
  } catch (const std::length_error&) {
    print_error(name + ": out of memory");
  } catch (const std::exception& error) {
    print_error(name + ": " + error.what());
  }
  return 1;
}

}  // namespace figment::io
