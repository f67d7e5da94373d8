// SPDX-License-Identifier: GPL-3.0-or-later
// crash_station CONFIG-FOLDER [kill NTH | power NTH SURVIVES SEED FOLDER INTO]: imprintd, which ends in the middle of
// the Nth call that changes a file of the records: as by kill -9, or as by a power cut, after which INTO has what is
// left of FOLDER. SURVIVES is 0 for nothing of what was not synced, 1 for everything, 2 for chance.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "station/daemon/daemon.hpp"
#include "tests/unit/db/fault_vfs.hpp"
#include "tests/unit/db/power_vfs.hpp"

namespace {

using namespace imprint::db::test;

int run(const char* config, const std::string& vfs) {
  imprint::daemon::DaemonOptions options;
  options.config = {config};
  options.vfs = vfs;
  const auto done = imprint::daemon::run_daemon(options);
  if (!done)
    std::fprintf(stderr, "crash_station: %s: %s\n", done.error().row().id.data(), done.error().message().c_str());
  return done ? 0 : 1;
}

std::uint64_t number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  ::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> words(argv + 2, argv + argc);
  if (words.size() == 6 && words[0] == "power") {
    PowerVfs vfs;
    vfs.cut_at(number(words[1]), [&] {
      vfs.power_up(words[4], words[5], static_cast<Survives>(number(words[2])),
                   static_cast<std::uint32_t>(number(words[3])));
      ::kill(::getpid(), SIGKILL);
    });
    return run(argv[1], vfs.name());
  }
  FaultVfs vfs;
  if (words.size() == 2 && words[0] == "kill") vfs.fail_at(number(words[1]), Fault::kill);
  return run(argv[1], vfs.name());
}
