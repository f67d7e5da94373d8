// SPDX-License-Identifier: GPL-3.0-or-later
// The commands of Simple I/O that have parameters or an answer of their own.
#include <algorithm>

#include "devices/protocol/empty_reads.hpp"
#include "devices/protocol/errors.hpp"
#include "devices/protocol/simple_io_connection.hpp"

namespace imprint::devices::simple_io {

core::Result<core::Guid> Connection::serial_number() {
  constexpr std::size_t kGuidSize = 16;
  IMPRINT_CHECK(send(Opcode::serial_number));
  IMPRINT_TRY(const core::ByteBuffer answer, read_answer(kGuidSize, "asking for the serial number"));
  return core::Guid::from_mixed_endian(std::span<const std::uint8_t, kGuidSize>(answer));
}

core::Result<Connection::Disk> Connection::disk() {
  IMPRINT_CHECK(send(Opcode::get_disk_info));
  IMPRINT_TRY(const core::ByteBuffer answer, read_answer(core::kWireSize<DiskInfo>, "asking for the disk"));
  core::ByteReader reader(answer);
  IMPRINT_TRY(const DiskInfo info, core::read_struct<DiskInfo>(reader));
  IMPRINT_TRY(const engine::DiskGeometry geometry, check_disk_info(info));
  return Disk{geometry, info.transfer_size};
}

core::Result<IdReply> Connection::reset() {
  constexpr std::string_view kPurpose = "resetting the device";
  const auto deadline = core::Deadline::after(kMiscLimit);
  IMPRINT_CHECK(send(Opcode::reset));
  IMPRINT_TRY(const core::ByteView piece, read_past_logs(deadline, kPurpose, AnswerForm::code, nullptr));
  // Here Err says that the reset is done.
  if (!is_error_answer(piece)) {
    return fail("device.reset-refused", "the answer is not the one to a reset").with("actual", piece[0]);
  }
  in_step_ = true;
  IMPRINT_TRY(IdReply reply, id());
  if (reply.position != 0) return fail("device.reset-refused").with("position", reply.position);
  return reply;
}

core::Status Connection::skip() {
  IMPRINT_CHECK(send(Opcode::skip));
  return expect_ack("asking the device to leave flashing mode");
}

core::Status Connection::switch_to_mass_storage() {
  IMPRINT_CHECK(send(Opcode::mass_storage));
  IMPRINT_CHECK(expect_ack("switching the device to mass storage"));
  lost_ = fail("device.disconnected", "the device was switched to mass storage").error();
  return {};
}

core::Result<IdReply> Connection::clear_id_override() {
  IMPRINT_CHECK(send(Opcode::clear_id_override));
  IMPRINT_CHECK(expect_ack("clearing the override of the device's id"));
  return id();
}

core::Status Connection::set_boot_mode(std::uint32_t mode, std::string_view profile) {
  constexpr std::string_view kPurpose = "setting the boot mode";
  IMPRINT_TRY(const core::ByteBuffer parameters, write_boot_mode(mode, profile));
  IMPRINT_CHECK(send(Opcode::set_boot_mode));
  IMPRINT_CHECK(write(parameters, core::Deadline::after(kMiscLimit), kPurpose));
  IMPRINT_TRY(const core::ByteBuffer answer, read_answer(sizeof(std::uint32_t), kPurpose));
  if (const auto status = core::load_le<std::uint32_t>(answer.data()); status != 0)
    return fail("device.boot-mode-refused").with("mode", mode).with("status", status);
  return {};
}

core::Status Connection::send_range(Opcode command, std::uint64_t offset, std::uint64_t count,
                                    std::string_view purpose) {
  IMPRINT_CHECK(send(command));
  core::ByteWriter range;
  core::write_struct(range, DiskRange{offset, count});
  return write(range.buffer(), core::Deadline::after(kMiscLimit), purpose);
}

core::Status Connection::read_disk(const Disk& disk, std::uint64_t offset, core::ByteSpan out) {
  constexpr std::string_view kPurpose = "reading the device's disk";
  const auto deadline = core::Deadline::after(kDiskReadLimit);
  IMPRINT_CHECK(send_range(Opcode::read_disk, offset, out.size(), kPurpose));
  std::size_t done = 0;
  EmptyReads empty;
  while (done < out.size()) {
    // The buffer is the device's next piece exactly: a larger one would run on into the piece after it, a smaller one
    // would overflow.
    const std::size_t piece = std::min<std::size_t>(disk.transfer_size, out.size() - done);
    IMPRINT_TRY(const core::ByteView got, read(out.subspan(done, piece), deadline, kPurpose));
    if (got.empty()) IMPRINT_CHECK(empty.add());
    done += got.size();
  }
  in_step_ = true;
  return {};
}

core::Status Connection::write_disk(const Disk& disk, std::uint64_t offset, core::ByteView data) {
  constexpr std::string_view kPurpose = "writing the device's disk";
  const auto deadline = core::Deadline::after(kDiskWriteLimit);
  IMPRINT_CHECK(send_range(Opcode::write_disk, offset, data.size(), kPurpose));
  for (core::ByteView rest = data; !rest.empty();) {
    const core::ByteView piece = rest.first(std::min<std::size_t>(disk.transfer_size, rest.size()));
    rest = rest.subspan(piece.size());
    IMPRINT_CHECK(write(piece, deadline, kPurpose));
    // Without a packet that is less than full the device does not see the end of a piece.
    if (piece.size() % kUsbPacketSize == 0) IMPRINT_CHECK(write({}, deadline, kPurpose));
  }
  IMPRINT_TRY(const core::ByteBuffer answer, read_answer(sizeof(std::uint64_t), kPurpose));
  if (const auto written = core::load_le<std::uint64_t>(answer.data()); written != data.size()) {
    return fail("device.disk-write-failed")
        .with("offset", offset)
        .with("expected", data.size())
        .with("actual", written);
  }
  return {};
}

core::Result<FastParameters> Connection::begin_fast(bool compatible, engine::TransferObserver& observer) {
  constexpr std::string_view kPurpose = "starting the fast flow";
  IMPRINT_CHECK(send(Opcode::fast_flash));
  if (compatible) return FastParameters{0, 0, kCompatibleFastTransferSize, kCompatibleFastPacketDataSize};
  const auto deadline = core::Deadline::after(kMiscLimit);
  core::ByteBuffer answer;
  while (answer.size() < core::kWireSize<FastParameters>) {
    IMPRINT_TRY(const core::ByteView piece, read_past_logs(deadline, kPurpose, AnswerForm::data, &observer));
    if (answer.empty() && is_error_answer(piece)) return fail_with_last_log();
    answer.insert(answer.end(), piece.begin(), piece.end());
  }
  return parse_fast_parameters(answer);
}

}  // namespace imprint::devices::simple_io
