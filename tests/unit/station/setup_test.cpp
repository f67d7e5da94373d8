// SPDX-License-Identifier: GPL-3.0-or-later
// The steps of `imprint station setup` where the programs that they call fail, or do nothing.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>

#include "flash/core/errors.hpp"
#include "station/cli/scratch.hpp"
#include "station/cli/setup_steps.hpp"

namespace {

namespace fs = std::filesystem;
using namespace imprint;
using namespace imprint::station::cli;

class ScriptedPrograms final : public core::ProcessRunner {
 public:
  core::Result<std::string> run(const core::ProcessRequest& request) override {
    called.push_back(request.arguments.front());
    if (fails) return core::fail("process.failed", "as scripted").with("program", request.arguments.front());
    if (does) does();
    return std::string();
  }
  std::vector<std::string> called;
  std::function<void()> does;
  bool fails = false;
};

// A system in a folder, with the product installed.
class System {
 public:
  System() {
    options.root = scratch_.path();
    options.id = "LINE-3";
    put("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    put("etc/group", "root:x:0:\n");
    put("usr/lib/sysusers.d/imprint.conf", "\n");
    put("usr/lib/tmpfiles.d/imprint.conf", "\n");
    put("usr/share/imprint/station.toml", "[station]\nid = \"station\"\ntraining = false\n[api]\nmax-clients = 5\n");
  }
  void put(const fs::path& name, const std::string& text) const {
    fs::create_directories((options.root / name).parent_path());
    std::ofstream(options.root / name) << text;
  }
  [[nodiscard]] std::string text_of(const fs::path& name) const {
    std::ifstream file(options.root / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void make_accounts() const {
    put("etc/passwd",
        "imprint:x:" + std::to_string(::getuid()) + ":" + std::to_string(::getgid()) + "::/:/bin/false\n");
    put("etc/group", "imprint:x:990:\nimprint-metrics:x:991:\n");
  }
  SetupOptions options;
  ScriptedPrograms programs;

 private:
  Scratch scratch_ = std::move(*Scratch::make());
};

}  // namespace

TEST_CASE("A program of systemd's that fails stops the step, and is named") {
  System system;
  system.programs.fails = true;
  SetupSteps steps(system.options, system.programs);
  const auto accounts = steps.make_accounts();
  REQUIRE_FALSE(accounts);
  CHECK(accounts.error().id() == "process.failed");
  CHECK(accounts.error().context_value("program") == "systemd-sysusers");
  CHECK(steps.make_folders().error().context_value("program") == "systemd-tmpfiles");
  CHECK(steps.enable_units().error().context_value("program") == "systemctl");
}

TEST_CASE("A program that ends well and has done nothing is not believed") {
  System system;
  SetupSteps steps(system.options, system.programs);
  CHECK(steps.make_accounts().error().id() == "process.failed");
  CHECK(steps.make_folders().error().id() == "process.failed");
}

TEST_CASE("Accounts that a program makes are done, and there the next time") {
  System system;
  system.programs.does = [&] { system.make_accounts(); };
  SetupSteps steps(system.options, system.programs);
  CHECK(steps.make_accounts()->outcome == SetupOutcome::done);
  CHECK(steps.make_accounts()->outcome == SetupOutcome::there);
  CHECK(system.programs.called == std::vector<std::string>{"systemd-sysusers"});
}

TEST_CASE("A dry run calls no program and writes no file") {
  System system;
  system.options.dry_run = true;
  SetupSteps steps(system.options, system.programs);
  CHECK(steps.make_accounts()->outcome == SetupOutcome::due);
  CHECK(steps.make_folders()->outcome == SetupOutcome::due);
  CHECK(steps.write_configuration()->outcome == SetupOutcome::due);
  CHECK(steps.make_key()->outcome == SetupOutcome::due);
  CHECK(steps.enable_units()->outcome == SetupOutcome::due);
  CHECK(steps.make_first_engineer()->outcome == SetupOutcome::due);
  CHECK(system.programs.called.empty());
  CHECK_FALSE(fs::exists(system.options.root / "etc/imprint"));
}

TEST_CASE("The configuration is the shipped one with this station's id, and is never written over") {
  System system;
  fs::create_directories(system.options.root / "etc/imprint");
  system.options.training = true;
  SetupSteps steps(system.options, system.programs);
  CHECK(steps.write_configuration()->outcome == SetupOutcome::done);
  CHECK(system.text_of("etc/imprint/station.toml") ==
        "[station]\nid = \"LINE-3\"\ntraining = true\n[api]\nmax-clients = 5\n");
  CHECK(steps.write_configuration()->outcome == SetupOutcome::there);
  system.options.id = "LINE-4";
  CHECK(steps.write_configuration().error().id() == "usage.invalid");
}

TEST_CASE("A station is not set up over a product that is not installed") {
  System system;
  fs::remove_all(system.options.root / "usr");
  SetupSteps steps(system.options, system.programs);
  CHECK(steps.make_accounts().error().id() == "io.not-found");
  CHECK(steps.write_configuration().error().id() == "io.not-found");
  CHECK(system.programs.called.empty());
}

TEST_CASE("The key is made once, for its owner alone") {
  System system;
  system.make_accounts();
  fs::create_directories(system.options.root / "var/lib/imprint/records");
  SetupSteps steps(system.options, system.programs);
  CHECK(steps.make_key()->outcome == SetupOutcome::done);
  const fs::path key = system.options.root / "var/lib/imprint/records/station.key";
  CHECK(fs::status(key).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  const std::string before = system.text_of("var/lib/imprint/records/station.key");
  CHECK(steps.make_key()->outcome == SetupOutcome::there);
  CHECK(system.text_of("var/lib/imprint/records/station.key") == before);
}

TEST_CASE("What needs a system that runs is left out elsewhere") {
  System system;
  SetupSteps steps(system.options, system.programs);
  CHECK(steps.start_units()->outcome == SetupOutcome::left_out);
  CHECK(steps.make_first_engineer()->outcome == SetupOutcome::left_out);
}

TEST_CASE("Rules of the slots are made from the slot map, and anew when it changes") {
  System system;
  SetupSteps steps(system.options, system.programs);
  CHECK(steps.write_slot_rules()->outcome == SetupOutcome::open);
  system.put("etc/imprint/slots.d/50-line.conf", "one = 1-2\n");
  CHECK(steps.write_slot_rules()->outcome == SetupOutcome::done);
  CHECK(steps.write_slot_rules()->outcome == SetupOutcome::there);
  system.put("etc/imprint/slots.d/50-line.conf", "one = 1-3\n");
  CHECK(steps.write_slot_rules()->outcome == SetupOutcome::done);
  CHECK(system.text_of(kSlotRules).find("\"1-3|1-3:") != std::string::npos);
  // A line that is taken away takes its rule with it.
  system.put("etc/imprint/slots.d/50-line.conf", "");
  CHECK(steps.write_slot_rules()->outcome == SetupOutcome::done);
  CHECK(system.text_of(kSlotRules).find("1-3") == std::string::npos);
  system.put("etc/imprint/slots.d/50-line.conf", "one\n");
  CHECK(steps.write_slot_rules().error().id() == "station.slot-map-invalid");
}
