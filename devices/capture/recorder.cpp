// SPDX-License-Identifier: GPL-3.0-or-later
// One lock for all ports: what is done under it is copying, of a few hundred bytes, or of all of them where there is a
// file. The file is written by a thread of its own.
#include "devices/capture/recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <new>
#include <system_error>

#include "devices/capture/capture_file.hpp"
#include "devices/capture/kept_folder.hpp"
#include "devices/capture/port_history.hpp"
#include "devices/capture/recording_transport.hpp"
#include "devices/capture/write_queue.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::capture {
namespace {

namespace fs = std::filesystem;
using devices::PortPath;

constexpr unsigned kAddresses = 127;  // of a USB bus
constexpr std::string_view kPassed = "passed";
constexpr std::size_t kMostWaiting = 64U << 20;  // bytes for the file: two seconds of a line of 30 MB/s
constexpr std::chrono::seconds kSettleLimit{10};

// "1-2.4" is on bus 1. Virtual ports are on none.
std::uint16_t bus_of(const PortPath& port) {
  std::uint16_t bus = 0;
  const char* end = port.text.data() + port.text.size();
  const auto [stop, error] = std::from_chars(port.text.data(), end, bus);
  return error == std::errc{} && stop != end && *stop == '-' ? bus : std::uint16_t{0};
}

std::string describe(const devices::UsbIdentity& identity) {
  const auto protocol = devices::protocol_of(identity);
  return fmt::format("{} {:04x}:{:04x}", protocol ? devices::to_string(*protocol) : "unknown", identity.vendor_id,
                     identity.product_id);
}

core::ByteBuffer kept_recording(const std::string& program, const PortPath& port, const std::string& description,
                                PortHistory& history, const Outcome& outcome) {
  core::ByteBuffer out = section_block(program);
  append(out, interface_block(port.text, description));
  const auto transfers = history.transfers();
  for (const KeptTransfer* transfer : transfers) {
    TransferPlace place = transfer->place;
    place.interface = 0;
    TransferFacts facts = transfer->facts;
    if (place.dropped != 0) {
      facts.comment = fmt::format("{} transfers before this one are not kept. {}", place.dropped / 2, facts.comment);
    }
    const TransferBlocks blocks = transfer_blocks(place, facts, transfer->data.size());
    append(out, blocks.before);
    append(out, transfer->data);
    append(out, blocks.after);
  }
  append(out, statistics_block(0, now(), {2 * transfers.size() + history.dropped(), history.dropped()},
                               to_comment(outcome)));
  return out;
}

}  // namespace

class Recorder::State {
 public:
  explicit State(RecorderSetup setup, std::unique_ptr<WriteQueue> file)
      : setup_(std::move(setup)), file_(std::move(file)) {}
  // A file in which there is nothing is not left behind.
  ~State() {
    std::error_code ignored;
    if (file_ && ports_.empty()) fs::remove(*setup_.file, ignored);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // A connection of a port: the number that its transfers carry as the device's address.
  std::uint8_t connect(const PortPath& port, const devices::UsbIdentity& identity) {
    const std::scoped_lock lock(mutex_);
    const auto [entry, is_new] = ports_.try_emplace(port);
    if (is_new) {
      entry->second.interface = static_cast<std::uint32_t>(ports_.size() - 1);
      write({interface_block(port.text, describe(identity))});
    }
    entry->second.description = describe(identity);
    address_ = address_ % kAddresses + 1;
    return static_cast<std::uint8_t>(address_);
  }

  void add(const PortPath& port, std::uint8_t address, TransferFacts facts, core::ByteView data) {
    const std::scoped_lock lock(mutex_);
    const auto entry = ports_.find(port);
    if (entry == ports_.end()) return;
    Port& at = entry->second;
    const TransferPlace place{
        .id = ++transfers_, .interface = at.interface, .bus = bus_of(port), .device = address, .dropped = 0};
    if (file_) {
      const TransferBlocks blocks = transfer_blocks(place, facts, data.size());
      write({blocks.before, data, blocks.after});
      at.packets += 2;
    }
    if (setup_.kept_folder) at.history.add(place, std::move(facts), data);
  }

  std::optional<fs::path> finish(const PortPath& port, const Outcome& outcome) {
    core::ByteBuffer content;
    {
      const std::scoped_lock lock(mutex_);
      const auto entry = ports_.find(port);
      if (entry == ports_.end()) return std::nullopt;
      Port& at = entry->second;
      write({statistics_block(at.interface, now(), {at.packets, 0}, to_comment(outcome))});
      if (outcome.verdict != kPassed && !at.history.empty())
        content = kept_recording(setup_.program, port, at.description, at.history, outcome);
      at.history.clear();
    }
    if (content.empty()) return std::nullopt;
    auto path = keep_recording(*setup_.kept_folder, outcome.attempt, content, Recorder::kMostKept);
    if (path) return std::move(*path);
    remember(std::move(path).error());
    return std::nullopt;
  }

  [[nodiscard]] std::optional<core::Error> trouble() {
    std::shared_ptr<WriteQueue> file;
    {
      const std::scoped_lock lock(mutex_);
      file = file_;
    }
    // Without the lock held: transfers go on meanwhile.
    if (file) {
      if (auto settled = file->settle(core::Deadline::after(kSettleLimit)); !settled)
        remember(std::move(settled).error());
    }
    const std::scoped_lock lock(mutex_);
    return trouble_;
  }
  void remember(core::Error error) {
    const std::scoped_lock lock(mutex_);
    if (!trouble_) trouble_ = std::move(error);
  }

 private:
  struct Port {
    std::uint32_t interface = 0;
    std::uint64_t packets = 0;  // of the file
    std::string description;
    PortHistory history;
  };

  // With the lock held. What cannot be written ends the file there.
  void write(std::initializer_list<core::ByteView> pieces) {
    if (!file_) return;
    auto done = file_->push(pieces);
    if (done) return;
    file_.reset();
    if (!trouble_) trouble_ = std::move(done).error();
  }

  const RecorderSetup setup_;
  std::mutex mutex_;
  std::shared_ptr<WriteQueue> file_;  // none once it could not be written
  std::map<PortPath, Port> ports_;
  std::uint64_t transfers_ = 0;
  unsigned address_ = 0;
  std::optional<core::Error> trouble_;
};

Recorder::Recorder(std::shared_ptr<State> state) : state_(std::move(state)) {}
Recorder::~Recorder() = default;

core::Result<std::unique_ptr<Recorder>> Recorder::open(RecorderSetup setup) {
  std::unique_ptr<WriteQueue> queue;
  if (setup.file) {
    IMPRINT_TRY(std::shared_ptr<CaptureFile> file, CaptureFile::create(*setup.file));
    if (auto begun = file->append({section_block(setup.program)}); !begun) {
      std::error_code ignored;
      fs::remove(*setup.file, ignored);  // or its name would be taken the next time
      return core::Failure(std::move(begun).error());
    }
    IMPRINT_TRY(queue, WriteQueue::start([file](core::ByteView bytes) { return file->append({bytes}); }, kMostWaiting));
  }
  return std::unique_ptr<Recorder>(new Recorder(std::make_shared<State>(std::move(setup), std::move(queue))));
}

devices::TransportTap Recorder::tap() {
  // The transport's way to the recording, which may be over before the transport is.
  class Connection final : public TransferLog {
   public:
    Connection(std::weak_ptr<State> state, PortPath port, std::uint8_t address)
        : state_(std::move(state)), port_(std::move(port)), address_(address) {}
    void add(TransferFacts facts, core::ByteView data) noexcept override {
      const auto state = state_.lock();
      if (!state) return;
      try {
        state->add(port_, address_, std::move(facts), data);
      } catch (const std::exception&) {
        state->remember(core::fail("io.out-of-memory").error());
      }
    }

   private:
    std::weak_ptr<State> state_;
    PortPath port_;
    std::uint8_t address_;
  };
  return [weak = std::weak_ptr(state_)](
             const PortPath& port, const devices::UsbIdentity& identity,
             std::unique_ptr<devices::Transport> transport) -> std::unique_ptr<devices::Transport> {
    const auto state = weak.lock();
    if (!state) return transport;
    const std::uint8_t address = state->connect(port, identity);
    return std::make_unique<RecordingTransport>(std::move(transport), identity,
                                                std::make_unique<Connection>(weak, port, address));
  };
}

std::optional<fs::path> Recorder::finish(const PortPath& port, const Outcome& outcome) noexcept {
  try {
    return state_->finish(port, outcome);
  } catch (const std::exception&) {
    state_->remember(core::fail("io.out-of-memory").error());
  }
  return std::nullopt;
}

std::optional<core::Error> Recorder::trouble() { return state_->trouble(); }

}  // namespace imprint::capture
