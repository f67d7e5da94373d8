// SPDX-License-Identifier: GPL-3.0-or-later
// Builds the tree of ports out of sysfs.
#include "devices/usb/usb_topology.hpp"

#include <fmt/format.h>
#include <libudev.h>

#include <algorithm>
#include <map>
#include <set>

#include "devices/usb/port_peer.hpp"
#include "devices/usb/sysfs.hpp"

namespace imprint::usb {
namespace {

constexpr std::uint32_t kLowSpeed = 1'500;
constexpr std::uint32_t kFullSpeed = 12'000;
constexpr std::uint32_t kHighSpeed = 480'000;
constexpr std::uint32_t kSuperSpeed = 5'000'000;
constexpr std::uint32_t kSuperSpeedPlus = 10'000'000;
constexpr std::uint64_t kHubClass = 0x09;
constexpr std::uint64_t kMostPorts = 31;  // of the kernel's hub driver
constexpr unsigned kDeepest = 7;          // tiers, in USB

// sysfs `speed`, in Mbit/s.
std::uint32_t speed_of(udev_device& device) {
  const std::string text = attribute(device, "speed");
  if (text == "1.5") return kLowSpeed;
  constexpr std::uint64_t kFastest = 80'000;
  return static_cast<std::uint32_t>(std::min(decimal(device, "speed").value_or(0), kFastest) * 1000);
}

// What bcdUSB promises (USB 3.2 specification, 9.6.1: a SuperSpeed device says 2.10 where it runs at high speed).
std::uint32_t claimed_speed(udev_device& device, std::uint32_t now) {
  const std::string version = attribute(device, "version");  // " 2.10"
  const std::size_t digits = version.find_first_not_of(' ');
  const std::string_view claim =
      digits == std::string::npos ? std::string_view() : std::string_view(version).substr(digits);
  std::uint32_t claimed = 0;
  if (claim.starts_with("3.1") || claim.starts_with("3.2")) {
    claimed = now >= kSuperSpeedPlus ? now : kSuperSpeed;  // 3.1 and 3.2 do not promise more than the first generation
  } else if (claim.starts_with("3.") || claim.starts_with("2.1")) {
    claimed = kSuperSpeed;
  } else if (claim.starts_with("2.")) {
    claimed = now <= kFullSpeed ? now : kHighSpeed;  // version 2.0 is allowed at every speed
  } else if (claim.starts_with("1.")) {
    claimed = kFullSpeed;
  }
  return std::max(claimed, now);
}

class TreeReader {
 public:
  explicit TreeReader(udev& handle) : udev_(handle) {
    for (std::string& name : usb_device_names(handle)) names_.insert(std::move(name));
  }

  std::vector<TopologyNode> read() {
    std::map<unsigned, TopologyNode> controllers;  // by bus number: "usb10" comes after "usb9"
    for (const std::string& name : names_) {
      constexpr std::string_view kPrefix = "usb";
      if (!name.starts_with(kPrefix)) continue;
      const unsigned bus = port_number({.text = "0-" + name.substr(kPrefix.size())});
      TopologyNode node = read_device(name, 0, 0);
      node.kind = TopologyNode::Kind::controller;
      controllers.emplace(bus, std::move(node));
    }
    std::vector<TopologyNode> out;
    out.reserve(controllers.size());
    for (auto& [bus, node] : controllers) out.push_back(std::move(node));
    return out;
  }

 private:
  TopologyNode read_device(const std::string& name, std::uint32_t port_speed, unsigned depth) {
    TopologyNode node;
    node.port.text = name;
    node.port_speed = port_speed;
    const UdevDevice device = names_.contains(name) ? find_usb_device(udev_, name) : nullptr;
    if (!device) return node;  // empty, or it has just left
    node.kind = TopologyNode::Kind::device;
    node.identity = identity_of(udev_, *device);
    node.speed_now = speed_of(*device);
    node.device_speed = claimed_speed(*device, node.speed_now);
    node.drivers = interface_drivers(udev_, name);
    node.is_simulated = usb::is_simulated(*device);
    if (hexadecimal(*device, "bDeviceClass") != kHubClass) {
      for (const KernelDisk& disk : disks_below(udev_, name)) node.disks.push_back(disk.node);
      return node;
    }
    node.kind = TopologyNode::Kind::hub;
    if (depth >= kDeepest) return node;
    const std::uint64_t ports = std::min(decimal(*device, "maxchild").value_or(0), kMostPorts);
    const std::string prefix = name.starts_with("usb") ? name.substr(3) + "-" : name + ".";
    for (std::uint64_t number = 1; number <= ports; ++number) {
      const std::string port = fmt::format("{}{}", prefix, number);
      node.ports.push_back(read_device(port, std::max(node.speed_now, peer_speed(port)), depth + 1));
    }
    return node;
  }

  // Of the other set of wires in the same socket.
  std::uint32_t peer_speed(const std::string& port) {
    const auto peer = peer_of({port});
    const UdevDevice hub = peer ? find_usb_device(udev_, hub_of(*peer)) : nullptr;
    return hub ? speed_of(*hub) : 0;
  }

  udev& udev_;
  std::set<std::string> names_;
};

}  // namespace

bool is_slower_than_possible(const TopologyNode& node) {
  return node.speed_now != 0 && node.speed_now < std::min(node.device_speed, node.port_speed);
}

std::vector<TopologyNode> read_topology() {
  const Udev handle = open_udev();
  return handle ? TreeReader(*handle).read() : std::vector<TopologyNode>();
}

}  // namespace imprint::usb
