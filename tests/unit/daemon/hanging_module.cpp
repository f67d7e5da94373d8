// SPDX-License-Identifier: GPL-3.0-or-later
// A PKCS#11 module that hangs, as one does whose token has stopped: IMPRINT_TEST_TOKEN_FIFOS is a folder with two
// FIFOs. It writes to `asked`, and goes on, to say that it is broken, once somebody opens `go`.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace {

constexpr unsigned long kGeneralError = 5;  // PKCS#11 2.40, section 3.6

}  // namespace

extern "C" unsigned long C_GetFunctionList(void** /*list*/) {
  const char* folder = std::getenv("IMPRINT_TEST_TOKEN_FIFOS");
  if (folder == nullptr) return kGeneralError;
  const int asked = ::open((std::string(folder) + "/asked").c_str(), O_WRONLY | O_CLOEXEC);
  const bool is_told = asked >= 0 && ::write(asked, "!", 1) == 1;
  ::close(asked);
  if (is_told) ::close(::open((std::string(folder) + "/go").c_str(), O_RDONLY | O_CLOEXEC));
  return kGeneralError;
}
