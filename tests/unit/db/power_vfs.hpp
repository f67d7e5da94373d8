// SPDX-License-Identifier: GPL-3.0-or-later
// A SQLite VFS over a disk with a cache: what was written is there for everybody until the power goes, and then only
// what was synced is sure. The rest survives by chance, in any order and in halves, as disks do it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace imprint::db::test {

enum class Survives {
  nothing,     // of what was not synced
  everything,  // as if the disk had been quick
  by_chance,   // each unsynced write alone, torn at a sector, in another order
};

// Registered for as long as it lives. Set up by one thread; SQLite may call from any.
class PowerVfs {
 public:
  PowerVfs();
  PowerVfs(const PowerVfs&) = delete;
  PowerVfs& operator=(const PowerVfs&) = delete;
  ~PowerVfs();

  [[nodiscard]] std::string name() const;
  // The Nth write, truncation, sync or removal from now on, counted from 1, and everything after it, is not done.
  // `on_cut` is called in the middle of that one, while nobody else gets at the disk.
  void cut_at(std::uint64_t nth, std::function<void()> on_cut = {});
  [[nodiscard]] bool is_cut() const;
  // The files of `folder` as they are found when the power is back, into `into`.
  void power_up(const std::filesystem::path& folder, const std::filesystem::path& into, Survives survives,
                std::uint32_t seed) const;
  // Forgets all files: for a new disk.
  void forget();

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace imprint::db::test
