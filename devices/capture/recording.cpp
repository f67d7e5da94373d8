// SPDX-License-Identifier: GPL-3.0-or-later
// Puts packets together to transfers, transfers to connections, and connections to attempts.
#include "devices/capture/recording.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>

#include "devices/capture/errors.hpp"
#include "devices/capture/pcapng_reader.hpp"
#include "flash/core/text.hpp"

namespace imprint::capture {
namespace {

constexpr std::string_view kUsbmon = "usbmon";  // its interfaces are buses, not ports

// usbmon's times are the system's; those that no clock can have are taken as none.
Time time_of(const usbmon::Header& header) {
  constexpr std::uint64_t kMostSeconds = std::uint64_t{1} << 40;
  if (header.seconds > kMostSeconds) return {};
  return Time(std::chrono::microseconds(static_cast<std::int64_t>(header.seconds * 1'000'000 + header.microseconds)));
}

class Assembly {
 public:
  Assembly(const core::BlockSource& file, PcapngReader& reader) : file_(file), reader_(reader) {}

  core::Result<std::vector<RecordedAttempt>> run() {
    while (true) {
      IMPRINT_TRY(auto event, reader_.next());
      if (!event) break;
      if (const auto* packet = std::get_if<UsbPacket>(&*event)) {
        IMPRINT_CHECK(take(*packet));
      } else {
        end_attempt(std::get<InterfaceNote>(*event));
      }
    }
    std::erase_if(attempts_, [](const RecordedAttempt& attempt) { return attempt.connections.empty(); });
    return std::move(attempts_);
  }

 private:
  struct Open {
    std::size_t attempt = 0;
    std::uint32_t address = 0;  // bus and device of its last connection
    bool has_connection = false;
    bool after_gap = false;
    std::uint8_t serial_index = 0;
  };
  // Where a submission was put; connections and transfers are only ever added to.
  struct Pending {
    std::size_t attempt;
    std::size_t connection;
    std::size_t transfer;  // kDescriptor: it is none of the protocol's
    Setup setup{};
  };
  static constexpr std::size_t kDescriptor = std::numeric_limits<std::size_t>::max();
  using Key = std::tuple<std::size_t, std::uint32_t, std::uint64_t>;  // attempt, address, id

  [[nodiscard]] std::string port_of(const UsbPacket& packet) const {
    const std::string& name = reader_.interfaces()[packet.interface].name;
    if (!name.empty() && !name.starts_with(kUsbmon)) return name;
    const std::string bus = name.empty() ? fmt::format("{}{}", kUsbmon, packet.header.bus) : name;
    return fmt::format("{}:{}", bus, packet.header.device);
  }

  Open& open_attempt(const std::string& port) {
    const auto [entry, is_new] = open_.try_emplace(port);
    if (is_new) {
      entry->second.attempt = attempts_.size();
      attempts_.push_back({.port = {port}, .connections = {}, .outcome = {}});
    }
    return entry->second;
  }

  core::Status take(const UsbPacket& packet) {
    const usbmon::Header& header = packet.header;
    if (header.device == 0) return {};  // not addressed yet: the kernel only asks what it is
    if (header.transfer_type != usbmon::kBulk && header.transfer_type != usbmon::kControl) return {};
    const std::string port = port_of(packet);
    const std::uint32_t address = (std::uint32_t{header.bus} << 8) | header.device;
    Open& open = open_attempt(port);
    const Key key{open.attempt, address, header.id};
    if (packet.dropped != 0) open.after_gap = true;
    if (header.type == usbmon::kSubmit) {
      submit(packet, key, open, address);
      return {};
    }
    const auto pending = pending_.find(key);
    if (pending == pending_.end()) return {};  // its beginning is not in the recording
    const Pending place = pending->second;
    pending_.erase(pending);
    if (place.transfer == kDescriptor) return learn(packet, place, open);
    complete(packet, attempts_[place.attempt].connections[place.connection].transfers[place.transfer]);
    return {};
  }

  void submit(const UsbPacket& packet, const Key& key, Open& open, std::uint32_t address) {
    auto& connections = attempts_[open.attempt].connections;
    if (!open.has_connection || open.address != address) {
      connections.emplace_back();
      open.has_connection = true;
      open.address = address;
      open.serial_index = 0;
    }
    Pending place{open.attempt, connections.size() - 1, kDescriptor, packet.header.setup};
    const bool control = packet.header.transfer_type == usbmon::kControl;
    const bool has_setup = packet.header.flag_setup == usbmon::kPresent;
    const bool belongs = control && has_setup &&
                         (request::is_clear_halt(packet.header.setup) || packet.header.setup == request::kLineState);
    if (!control || belongs) {
      auto& transfers = connections.back().transfers;
      place.transfer = transfers.size();
      const bool in = (packet.header.endpoint & usbmon::kDirectionIn) != 0;
      RecordedTransfer transfer;
      transfer.frame = packet.frame;
      transfer.kind = control ? TransferKind::control_out : (in ? TransferKind::bulk_in : TransferKind::bulk_out);
      transfer.after_gap = std::exchange(open.after_gap, false);
      transfer.asked = packet.header.length;
      transfer.setup = packet.header.setup;
      transfer.submitted = time_of(packet.header);
      if (!in) {
        transfer.data_at = packet.data_at;
        transfer.kept = std::min(packet.data_size, transfer.asked);
      }
      transfers.push_back(transfer);
    }
    pending_.insert_or_assign(key, place);
  }

  static void complete(const UsbPacket& packet, RecordedTransfer& transfer) {
    transfer.has_ended = true;
    transfer.status = static_cast<std::int32_t>(packet.header.status);
    transfer.moved = std::min(packet.header.length, transfer.asked);
    if (transfer.kind != TransferKind::bulk_in) return;
    transfer.data_at = packet.data_at;
    transfer.kept = std::min(packet.data_size, transfer.moved);
  }

  // What the device says that it is, from its descriptors.
  core::Status learn(const UsbPacket& packet, const Pending& place, Open& open) {
    const Setup& setup = place.setup;
    if (setup[0] != request::kGetDescriptorType || setup[1] != request::kGetDescriptor || packet.header.status != 0)
      return {};
    constexpr std::uint32_t kMostDescriptor = 255;
    IMPRINT_TRY(const core::ByteBuffer bytes, file_.read(packet.data_at, std::min(packet.data_size, kMostDescriptor)));
    RecordedConnection& connection = attempts_[place.attempt].connections[place.connection];
    if (setup[3] == request::kDeviceDescriptor && bytes.size() >= request::kDeviceDescriptorSize) {
      connection.has_identity = true;
      connection.identity.vendor_id = core::load_le<std::uint16_t>(bytes.data() + 8);
      connection.identity.product_id = core::load_le<std::uint16_t>(bytes.data() + 10);
      open.serial_index = bytes[16];
    }
    if (setup[3] == request::kStringDescriptor && open.serial_index != 0 && setup[2] == open.serial_index &&
        bytes.size() > 2) {
      connection.identity.serial = core::printable(core::utf8_from_utf16le(core::ByteView(bytes).subspan(2)));
    }
    return {};
  }

  void end_attempt(const InterfaceNote& note) {
    const std::string& port = reader_.interfaces()[note.interface].name;
    const auto open = open_.find(port);
    auto outcome = parse_outcome(note.comment);
    if (open == open_.end() || !outcome) return;
    attempts_[open->second.attempt].outcome = std::move(outcome);
    open_.erase(open);
  }

  const core::BlockSource& file_;
  PcapngReader& reader_;
  std::vector<RecordedAttempt> attempts_;
  std::map<std::string, Open, std::less<>> open_;
  std::map<Key, Pending> pending_;
};

}  // namespace

std::uint64_t RecordedAttempt::transfers() const {
  return std::accumulate(connections.begin(), connections.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& one) { return sum + one.transfers.size(); });
}

std::uint64_t RecordedAttempt::bytes(TransferKind kind) const {
  std::uint64_t sum = 0;
  for (const RecordedConnection& connection : connections) {
    for (const RecordedTransfer& transfer : connection.transfers) {
      if (transfer.kind == kind && transfer.has_ended) sum += transfer.moved;
    }
  }
  return sum;
}

bool RecordedAttempt::has_gap() const {
  return std::ranges::any_of(connections, [](const RecordedConnection& connection) {
    return std::ranges::any_of(connection.transfers, &RecordedTransfer::after_gap);
  });
}

core::Result<std::shared_ptr<const Recording>> Recording::read(std::shared_ptr<const core::BlockSource> file) {
  PcapngReader reader(*file);
  std::shared_ptr<Recording> out(new Recording);
  IMPRINT_TRY(out->attempts_, Assembly(*file, reader).run());
  if (!reader.has_usb()) return fail("capture.not-a-recording", "nothing in it is of USB");
  out->program_ = reader.program();
  out->cut_off_ = reader.is_cut_off();
  out->file_ = std::move(file);
  return out;
}

core::Result<core::ByteBuffer> Recording::data(const RecordedTransfer& transfer, std::uint64_t offset,
                                               std::uint64_t size) const {
  if (offset > transfer.kept || size > transfer.kept - offset) return core::fail("io.out-of-range");
  return file_->read(transfer.data_at + offset, size);
}

}  // namespace imprint::capture
