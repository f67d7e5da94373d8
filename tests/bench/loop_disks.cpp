// SPDX-License-Identifier: GPL-3.0-or-later
// losetup, and what sysfs says of the result.
#include "loop_disks.hpp"

#include <algorithm>
#include <fstream>
#include <utility>

#include "flash/core/block_io.hpp"
#include "flash/core/process.hpp"
#include "surroundings.hpp"

namespace imprint::bench {
namespace {

constexpr std::size_t kStep = 4U << 20;

void fill(const std::filesystem::path& file, std::uint64_t bytes) {
  const auto sink = must(core::FileSink::create(file, bytes));
  const core::ByteBuffer step(kStep, 0xE5);
  for (std::uint64_t at = 0; at < bytes; at += kStep) {
    stop_if_interrupted();
    must(sink->write_at(at, core::ByteView(step).first(std::min<std::uint64_t>(kStep, bytes - at))));
  }
  must(sink->flush());
}

}  // namespace

LoopDisks::LoopDisks(std::filesystem::path folder, unsigned count, std::uint64_t bytes) : folder_(std::move(folder)) {
  try {
    for (unsigned i = 0; i < count; ++i) {
      const auto file = folder_ / ("disk" + std::to_string(i));
      fill(file, bytes);
      core::SystemProcessRunner programs;
      std::string node = must(programs.run(
          {.arguments = {"losetup", "--find", "--show", "--direct-io=on", file.string()}, .environment = {}}));
      while (!node.empty() && node.back() == '\n') node.pop_back();
      nodes_.push_back(node);
      int direct = 0;
      std::ifstream("/sys/block/" + std::filesystem::path(node).filename().string() + "/loop/dio") >> direct;
      is_direct_ = is_direct_ && direct == 1;
    }
  } catch (...) {
    detach();
    throw;
  }
}

LoopDisks::~LoopDisks() { detach(); }

void LoopDisks::detach() {
  for (const std::string& node : nodes_) {
    core::SystemProcessRunner programs;
    static_cast<void>(programs.run({.arguments = {"losetup", "--detach", node}, .environment = {}}));
  }
  nodes_.clear();
}

}  // namespace imprint::bench
