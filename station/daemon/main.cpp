// SPDX-License-Identifier: GPL-3.0-or-later
// The command line of imprintd.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>

#include "flash/core/errors.hpp"
#include "station/daemon/daemon.hpp"
#include "station/errors.hpp"
#include "station/version.hpp"

namespace {

int report(const imprint::core::Error& error) {
  std::fprintf(stderr, "imprintd: %s: %s\n  What to do: %s\n", std::string(error.id()).c_str(), error.message().c_str(),
               std::string(error.row().remedy).c_str());
  return error.id().starts_with("config.") || error.id() == "station.slot-map-invalid" ? 1 : 4;
}

int run(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a client that is gone is an error of the write, not the end of the station
  CLI::App app{"imprintd: the station's daemon; it owns USB, the records and the jobs", "imprintd"};
  app.set_version_flag("--version", std::string("imprintd ") + imprint::station::kVersion);
  imprint::daemon::DaemonOptions options;
  app.add_option("--config", options.config,
                 "Folders with station.toml, products and slots.d; a file in a later one hides the same in an earlier "
                 "one. Unless given: share/imprint beside the program, then /etc/imprint");
  app.add_option("--socket", options.socket, "The API's socket, instead of station.toml's");
  app.add_flag("--training", options.training, "Simulated devices, and no others, with records of their own");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto done = imprint::daemon::run_daemon(options);
  return done ? 0 : report(done.error());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    return report(imprint::core::fail("io.out-of-memory").error());
  } catch (const std::exception& exception) {
    return report(imprint::station::fail("station.internal-error", exception.what()).error());
  }
}
