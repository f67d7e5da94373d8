// SPDX-License-Identifier: GPL-3.0-or-later
// What a Simple I/O device does with each command.
#include <fmt/format.h>

#include <algorithm>
#include <concepts>
#include <utility>

#include "devices/protocol/simple_io_messages.hpp"
#include "devices/virtual/simple_io_device.hpp"
#include "flash/core/text.hpp"

namespace imprint::virtual_device {
namespace {

namespace simple_io = devices::simple_io;
using simple_io::Opcode;

constexpr std::int16_t kDesyncFailed = 26;
constexpr std::uint32_t kInvalidParameter = 0x80000002;  // a status of SetBootMode

constexpr std::array kKnownCommands{Opcode::id,
                                    Opcode::flash,
                                    Opcode::skip,
                                    Opcode::reset,
                                    Opcode::reboot,
                                    Opcode::mass_storage,
                                    Opcode::read_disk,
                                    Opcode::get_disk_info,
                                    Opcode::write_disk,
                                    Opcode::fast_flash,
                                    Opcode::serial_number,
                                    Opcode::clear_id_override,
                                    Opcode::set_boot_mode,
                                    Opcode::query_for_command};

// Bytes that follow a command's opcode.
std::size_t parameter_bytes_of(Opcode command) {
  switch (command) {
    case Opcode::query_for_command:
      return 1;
    case Opcode::read_disk:
    case Opcode::write_disk:
      return core::kWireSize<simple_io::DiskRange>;
    case Opcode::set_boot_mode:
      return core::kWireSize<simple_io::BootMode>;
    default:
      return 0;
  }
}

core::ByteBuffer le_bytes(std::unsigned_integral auto value) {
  core::ByteWriter out;
  out.le(value);
  return out.release();
}

}  // namespace

bool VirtualSimpleIoDevice::knows(std::uint8_t command) const {
  const auto code = static_cast<Opcode>(command);
  if (std::ranges::find(kKnownCommands, code) == kKnownCommands.end() || options_.without.contains(code)) return false;
  const auto capabilities = simple_io::Capabilities::from(options_.capability);
  return code != Opcode::fast_flash || capabilities.fast_flash || capabilities.compatible_fast_flash;
}

const std::string& VirtualSimpleIoDevice::shown_platform_id() const {
  return options_.id_override.empty() ? options_.platform_id : options_.id_override;
}

VirtualSimpleIoDevice::Outcome VirtualSimpleIoDevice::on_command(core::ByteView transfer) {
  if (transfer.size() != 1) {
    // Once: a host that clears the pipes sends more of them than answers can wait.
    if (!std::exchange(complained_, true)) {
      answer_fault({kDesyncFailed, fmt::format("{} bytes where a command was due", transfer.size())}, Opcode::error);
    }
    return Outcome::taken;
  }
  complained_ = false;
  command_ = static_cast<Opcode>(transfer[0]);
  if (!knows(transfer[0])) {
    answer(Opcode::error);
    return Outcome::taken;
  }
  parameter_bytes_ = parameter_bytes_of(command_);
  if (parameter_bytes_ == 0) return on_plain_command();
  gathered_.clear();
  state_ = State::parameters;
  return Outcome::taken;
}

VirtualSimpleIoDevice::Outcome VirtualSimpleIoDevice::on_plain_command() {
  switch (command_) {
    case Opcode::id:
      answer(simple_io::write_id({position_, options_.capability, options_.unique_id}, shown_platform_id()));
      break;
    case Opcode::flash:
    case Opcode::fast_flash:
      begin_flash(command_ == Opcode::fast_flash);
      break;
    case Opcode::reset:
      forget_image();
      answer(Opcode::error);  // the protocol says "done" with Err here
      break;
    case Opcode::serial_number: {
      const auto& serial = options_.serial.mixed_endian();
      answer(core::ByteBuffer(serial.begin(), serial.end()));
      break;
    }
    case Opcode::get_disk_info: {
      core::ByteWriter out;
      core::write_struct(out, simple_io::DiskInfo{options_.disk_transfer_size, options_.sector_size,
                                                  options_.disk_size / options_.sector_size - 1});
      answer(out.release());
      break;
    }
    case Opcode::clear_id_override:
      options_.id_override.clear();
      answer(Opcode::ack);
      break;
    case Opcode::mass_storage:
      next_mode_ = Mode::mass_storage;
      [[fallthrough]];
    case Opcode::skip:
      forget_image();
      answer(Opcode::ack);
      leaving_ = true;
      break;
    case Opcode::reboot:
      forget_image();
      dead_ = options_.faults.dies_after_reboot;
      return Outcome::rebooting;
    default:
      answer(Opcode::error);
      break;
  }
  return Outcome::taken;
}

void VirtualSimpleIoDevice::on_parameters(core::ByteView transfer) {
  gathered_.insert(gathered_.end(), transfer.begin(), transfer.end());
  if (gathered_.size() < parameter_bytes_) return;
  state_ = State::command;
  const core::ByteBuffer parameters = std::exchange(gathered_, {});
  if (command_ == Opcode::query_for_command) {
    answer(core::ByteBuffer{static_cast<std::uint8_t>(knows(parameters[0]) ? 1 : 0)});
  } else if (command_ == Opcode::set_boot_mode) {
    on_boot_mode(parameters);
  } else {
    on_disk_range(parameters);
  }
}

void VirtualSimpleIoDevice::on_boot_mode(core::ByteView parameters) {
  core::ByteReader reader(parameters);
  const auto wanted = core::read_struct<simple_io::BootMode>(reader);
  const bool ends = wanted && reader.remaining() == 0 &&
                    core::is_zero(core::ByteView(wanted->profile).subspan(simple_io::kMaxProfileBytes));
  if (!ends) {
    answer(le_bytes(kInvalidParameter));
    return;
  }
  std::string profile = core::utf8_from_utf16le(wanted->profile);
  profile.resize(std::min(profile.find('\0'), profile.size()));
  boot_mode_ = BootMode{wanted->mode, std::move(profile)};
  answer(le_bytes(std::uint32_t{0}));
}

bool VirtualSimpleIoDevice::is_on_disk(const simple_io::DiskRange& range) const {
  std::uint64_t end = 0;
  return core::checked_add(range.offset, range.count, end) && end <= options_.disk_size &&
         range.offset % options_.sector_size == 0 && range.count % options_.sector_size == 0;
}

void VirtualSimpleIoDevice::on_disk_range(core::ByteView parameters) {
  core::ByteReader reader(parameters);
  const auto range = core::read_struct<simple_io::DiskRange>(reader);
  const bool good = range && reader.remaining() == 0 && is_on_disk(*range);
  if (command_ == Opcode::read_disk) {
    Waiting next;
    if (!good) {
      next.stall = true;  // the answer is bare data, so there is no other way to say no
    } else {
      next.disk = *range;
      if (range->count == 0) return;
    }
    answer(std::move(next));
    return;
  }
  // The data comes whether the range is good or not, and the count of what was written is the answer.
  writing_ = range ? *range : simple_io::DiskRange{};
  write_failed_ = !good;
  written_ = 0;
  state_ = State::write_data;
  if (writing_.count == 0) end_disk_write();
}

void VirtualSimpleIoDevice::on_write_data(core::ByteView transfer) {
  const core::ByteView part =
      transfer.first(static_cast<std::size_t>(std::min<std::uint64_t>(transfer.size(), writing_.count)));
  if (!write_failed_ && storage_->write_at(writing_.offset, part)) {
    written_ += part.size();
    writing_.offset += part.size();
  } else {
    write_failed_ = true;
  }
  writing_.count -= part.size();
  if (writing_.count == 0) end_disk_write();
}

void VirtualSimpleIoDevice::end_disk_write() {
  state_ = State::command;
  answer(le_bytes(written_));
}

}  // namespace imprint::virtual_device
