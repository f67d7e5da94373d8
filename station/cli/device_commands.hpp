// SPDX-License-Identifier: GPL-3.0-or-later
// The commands of `imprint` that have to do with devices, free of how the command line is parsed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "station/cli/console.hpp"
#include "station/cli/station_client.hpp"

namespace imprint::station::cli {

// Where slot files are looked for unless --slots names folders: the installed ones, then the station's own.
[[nodiscard]] std::vector<std::filesystem::path> default_slot_folders();

// What --learn writes unless it is given a file.
inline constexpr const char* kLearnedSlots = "/etc/imprint/slots.d/learned.conf";

struct DevicesOptions {
  std::filesystem::path socket = kUsualSocket;  // of the station, which is asked where it runs
  std::vector<std::filesystem::path> slot_folders = default_slot_folders();
  bool own_slots = false;          // slot_folders were named: the station that runs has others
  std::optional<std::string> why;  // a port
  bool udev_rules = false;
  std::optional<std::filesystem::path> learn;  // the file to write or to add to
  bool json = false;
};
ExitStatus list_devices(const DevicesOptions& options);

struct FlashOptions {
  std::filesystem::path image;
  std::vector<std::string> slots;
  std::vector<std::filesystem::path> devices;
  std::vector<std::string> serials;  // of the devices, where given
  bool all = false;
  std::string policy = "retail";
  std::filesystem::path trust = "/etc/imprint/trust";
  std::filesystem::path records;
  std::string product = "bench";
  std::vector<std::filesystem::path> slot_folders = default_slot_folders();
  bool training = false;
  bool reboot = false;
  std::string read_back = "required";
  std::optional<std::filesystem::path> capture;  // the recording to write
  bool json = false;
};
ExitStatus flash_devices(const FlashOptions& options);

struct ReplayOptions {
  std::filesystem::path file;
  std::optional<std::filesystem::path> image;
  std::optional<std::string> port;
  bool json = false;
};
ExitStatus replay_recording(const ReplayOptions& options);

struct VirtualDeviceOptions {
  std::string protocol = "simple-io";  // or "ufp"
  std::uint32_t count = 1;
  std::uint32_t first = 1;  // its number, and its serial with it
  std::string platform_id = "Imprint.Virtual.Board.1";
  std::uint64_t disk_bytes = 64U << 20;
  std::uint32_t sector_size = 512;
  std::uint64_t bytes_per_second = 0;
  std::uint32_t latency_ms = 0;
  std::optional<std::filesystem::path> contents;  // what the disks hold at first
  std::string listen = "127.0.0.1:3240";
  std::vector<std::string> faults;               // see virtual_device_faults.hpp
  std::optional<std::filesystem::path> storage;  // the folder for temporary files unless given
};
ExitStatus serve_virtual_devices(const VirtualDeviceOptions& options);

// Into a slot of a station for training that runs, and out again. What is not given is as the armed image needs it.
struct PlugOptions {
  StationOptions station;
  std::string slot;
  std::uint64_t number = 1;
  std::optional<std::string> protocol;
  std::optional<std::string> serial;
  std::optional<std::string> platform_id;
  std::optional<std::uint64_t> disk_bytes;
  std::optional<std::uint32_t> sector_size;
  std::optional<std::uint64_t> bytes_per_second;
  std::optional<std::uint32_t> latency_ms;
  std::vector<std::string> faults;
};
ExitStatus plug_virtual_device(const PlugOptions& options);
ExitStatus unplug_virtual_device(const PlugOptions& options);

}  // namespace imprint::station::cli
