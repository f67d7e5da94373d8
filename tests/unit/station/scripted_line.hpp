// SPDX-License-Identifier: GPL-3.0-or-later
// One slot, over a disk that does what the test says.
#pragma once

#include <memory>
#include <utility>

#include "tests/unit/station/scripted_disk.hpp"
#include "tests/unit/station/station_fixture.hpp"

namespace imprint::station::test {

struct ScriptedLine {
  Line line;
  ScriptedDiskBus bus{virtual_device::VirtualStorage::create(line.folder.path(), image_options().disk_size).value()};
  std::unique_ptr<Session> session;

  explicit ScriptedLine(Recipe what, AttemptRules* rules = nullptr) {
    SessionConfig config{.recipe = std::move(what),
                         .image = armed_image(),
                         .slots = {{"1", ScriptedDiskBus::port()}},
                         .scratch = line.folder.path(),
                         .training = true,
                         .rules = rules};
    session = Session::start(std::move(config), bus, *line.records, line.clock).value();
  }
  AttemptResult flash(Hang hang = Hang::nowhere) {
    bus.script(hang);
    bus.plug();
    AttemptResult result = Line::next(*session);
    bus.unplug();
    return result;
  }
};

}  // namespace imprint::station::test
