// SPDX-License-Identifier: GPL-3.0-or-later
// A SQLite VFS that hands every call to the system's and makes the Nth one fail: the edge between the records and the
// disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace imprint::db::test {

enum class Fault {
  once,       // the Nth call fails, the disk is well again afterwards
  for_good,   // the Nth call and every one after it
  disk_full,  // from the Nth call on, writes find no room; everything else works
  kill,       // the process ends as by kill -9 in the middle of the Nth call that changes a file; only those count
};

// Registered for as long as it lives. Set up by one thread; SQLite may call from any.
class FaultVfs {
 public:
  FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;
  ~FaultVfs();

  [[nodiscard]] std::string name() const;
  void fail_at(std::uint64_t nth, Fault fault);  // counted from this call on, from 1
  void heal();
  [[nodiscard]] bool failed() const;  // whether a call has been made to fail

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace imprint::db::test
