// SPDX-License-Identifier: GPL-3.0-or-later
// Where scans and devices meet: scan first and plug in then, or plug in first and scan then. A scan belongs to the slot
// whose device came first, from the moment when both are there: the device may still be busy saying who it is.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "flash/core/result.hpp"

namespace imprint::station::admission {

struct Scan {
  std::string text;     // of read_scan
  bool manual = false;  // typed by hand
  std::string by;       // whoever is signed in; may be empty
  std::string slot;     // for this slot only; empty: for whichever comes first
};

// Something that is to be shown and audited.
struct ScanNotice {
  // waits: no slot asks for it yet. given: `slot` has it. replaced: another one came while it waited. dropped: nobody
  // took it in time. cleared: taken away by clear().
  enum class Kind : std::uint8_t { waits, given, replaced, dropped, cleared };
  Kind kind = Kind::waits;
  Scan scan;
  std::string slot;  // only with given
};
[[nodiscard]] std::string_view to_string(ScanNotice::Kind kind);

// Thread-safe. One scan waits at a time.
class ScanDesk {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options {
    std::chrono::milliseconds hold = std::chrono::seconds(60);  // how long a scan waits
    std::function<Clock::time_point()> now = [] { return Clock::now(); };
    // Called from the thread that brought it about, without the desk's lock; may call the desk.
    std::function<void(const ScanNotice&)> notice = [](const ScanNotice&) {};
  };
  explicit ScanDesk(Options options) : options_(std::move(options)) {}

  // Gives the scan to the slot that has asked longest, or to the slot that it names; where that does not ask, the scan
  // waits, in place of one that waited before. Answers the slot that got it.
  std::optional<std::string> put(Scan scan);
  // A device came to the slot: it gets the scan that waits, or its place among those that wait for one. Once until
  // leave(); does not block.
  void expect(const std::string& slot);
  // The device left, or its attempt is over. A scan that it was given and that nobody took is dropped: it is that
  // unit's label.
  void leave(const std::string& slot);
  // The scan that waits, or the next one that comes: an attempt calls this with its device in the slot. At most for
  // `patience`; 0: only what waits already. `serial.scan-missing`, `job.cancelled`. A slot asks once at a time; a
  // second call with its name is `job.cancelled` for the first.
  [[nodiscard]] core::Result<Scan> take(const std::string& slot, std::chrono::milliseconds patience,
                                        std::stop_token stop);

  struct Waiting {
    Scan scan;
    std::chrono::milliseconds left{0};
  };
  [[nodiscard]] std::optional<Waiting> waiting() const;
  // Slots that ask for a scan, the longest first.
  [[nodiscard]] std::vector<std::string> slots_that_ask() const;
  // The scan that waits is gone, and so are places that nobody waits at: the station was disarmed, or somebody wants it
  // away.
  void clear();
  // Drops a scan whose time is over, and says so; lets those who wait look at the clock. To be called about once a
  // second, since nobody else may come by in time.
  void look_at_clock();

 private:
  struct Held {
    Scan scan;
    Clock::time_point until;
  };
  struct Asking {
    std::string slot;
    std::optional<Scan> given;
    bool displaced = false;
    bool takes = false;  // somebody waits in take(); else only the device is there
  };
  using Notices = std::vector<ScanNotice>;
  void drop_stale(Notices& notices);
  void say(const Notices& notices) const;
  [[nodiscard]] std::optional<Scan> held_for(const std::string& slot);

  Options options_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Held> held_;
  std::list<Asking> asking_;  // in the order in which their devices came
};

}  // namespace imprint::station::admission
