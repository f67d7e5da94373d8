// SPDX-License-Identifier: GPL-3.0-or-later
// crash_station CONFIG-FOLDER [NTH]: imprintd, which ends as by kill -9 in the middle of the Nth call that changes a
// file of the records.
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "station/daemon/daemon.hpp"
#include "tests/unit/db/fault_vfs.hpp"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::signal(SIGPIPE, SIG_IGN);
  imprint::db::test::FaultVfs vfs;
  if (argc > 2) vfs.fail_at(std::strtoull(argv[2], nullptr, 10), imprint::db::test::Fault::kill);
  imprint::daemon::DaemonOptions options;
  options.config = {argv[1]};
  options.vfs = vfs.name();
  const auto done = imprint::daemon::run_daemon(options);
  if (!done)
    std::fprintf(stderr, "crash_station: %s: %s\n", done.error().row().id.data(), done.error().message().c_str());
  return done ? 0 : 1;
}
