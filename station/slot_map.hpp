// SPDX-License-Identifier: GPL-3.0-or-later
// Which port of the station is which slot. Small files in folders, as udev and systemd have them, so that a package of
// a fixture brings its ports along and a line can overrule them. A port that no file names is left alone.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "devices/protocol/device_bus.hpp"
#include "devices/protocol/disk_guard.hpp"
#include "flash/core/result.hpp"

namespace imprint::station {

// One line of a file: `NAME = PORT... [disk|fixed-disk]`; without the last word a disk there is not written. A USB 3
// socket is two ports, one for each set of its wires, hence several. A PORT with a `*` stands for every port that fits
// ("1-2.*"; the star is one or more digits and points); all PORTs of the line and its NAME then have one, and the
// name's becomes what the port's stood for.
struct SlotRule {
  std::string name;
  std::vector<std::string> ports;  // at least one
  devices::DisksAllowed disks = devices::DisksAllowed::none;
  std::filesystem::path file;
  std::size_t line = 0;

  [[nodiscard]] bool has_star() const { return name.find('*') != std::string::npos; }
};

struct SlotOfPort {
  std::string name;
  devices::DisksAllowed disks = devices::DisksAllowed::none;
};

class SlotMap {
 public:
  // The *.conf files of the folders, in the order of their names. A file hides one of the same name in an earlier
  // folder; an empty one, or a link to /dev/null, takes it away. A folder that is not there counts as empty.
  // `station.slot-map-invalid` with file and line, `io.*`.
  [[nodiscard]] static core::Result<SlotMap> load(const std::vector<std::filesystem::path>& folders);
  // The lines of one file.
  [[nodiscard]] static core::Result<SlotMap> parse(std::string_view text, const std::filesystem::path& file);

  [[nodiscard]] const std::vector<SlotRule>& rules() const { return rules_; }
  [[nodiscard]] bool empty() const { return rules_.empty(); }
  // A rule for exactly this port goes before one with a star, and a slot has the ports of one rule only: where the name
  // that a star gives is another slot's already, the port has none. Nothing: hands off.
  [[nodiscard]] std::optional<SlotOfPort> slot_of(const devices::PortPath& port) const;
  // The ports of a slot whose name stands in a file, or follows from a star that fits the name; none where it does not.
  [[nodiscard]] std::vector<devices::PortPath> ports_of(std::string_view slot) const;

 private:
  // The line that names a port, and what its star stands for there.
  struct Match {
    const SlotRule* rule = nullptr;
    std::string star;
  };
  [[nodiscard]] core::Status add(SlotRule rule);
  [[nodiscard]] std::optional<Match> find(const devices::PortPath& port) const;
  std::vector<SlotRule> rules_;
};

}  // namespace imprint::station
