// SPDX-License-Identifier: GPL-3.0-or-later
// The device's side of Simple I/O: a state machine over received OUT transfers and waiting IN transfers, as strict as a
// real device. Facts in devices/protocol/simple_io_protocol.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "devices/protocol/simple_io_protocol.hpp"
#include "devices/virtual/ffu_receiver.hpp"
#include "devices/virtual/virtual_device.hpp"
#include "devices/virtual/virtual_storage.hpp"
#include "flash/core/bytes.hpp"
#include "flash/core/result.hpp"

namespace imprint::virtual_device {

// What goes wrong with the device, and when. Each fault happens once; a device that is plugged in again is sound.
struct FaultScript {
  std::optional<std::uint64_t> disconnect_at_byte;  // of the image, counted as the packets come in
};

struct DeviceOptions {
  std::string platform_id;  // "Manufacturer.Family.Product.Version"
  core::Guid serial;
  core::Guid unique_id;
  // Byte 14 makes client version 2: the device can be asked which commands it knows.
  std::array<std::uint8_t, 16> capability{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
  std::uint64_t disk_size = 0;  // bytes, a multiple of the sector
  std::uint32_t sector_size = 512;
  std::uint32_t disk_transfer_size = 131072;  // bytes of one IN transfer of ReadDisk
  std::filesystem::path storage_folder;
  std::uint64_t bytes_per_second = 0;            // of the link, both ways together; 0: as fast as it goes
  std::set<devices::simple_io::Opcode> without;  // commands that this device does not know
  CatalogCheck check_catalog;
  FaultScript faults;
};

// Thread-safe.
class VirtualSimpleIoDevice final : public VirtualDevice {
 public:
  // `device.virtual-setup-invalid`, or the errors of VirtualStorage.
  [[nodiscard]] static core::Result<std::shared_ptr<VirtualSimpleIoDevice>> create(DeviceOptions options);
  // With a disk that exists already, of options.disk_size.
  [[nodiscard]] static core::Result<std::shared_ptr<VirtualSimpleIoDevice>> create(
      DeviceOptions options, std::shared_ptr<VirtualStorage> storage);

  [[nodiscard]] Outcome receive(core::ByteView transfer) override;
  [[nodiscard]] Reply reply(core::ByteSpan buffer) override;
  void clear_halt() override;
  void power_cut() override;
  [[nodiscard]] devices::UsbIdentity usb_identity() const override;
  [[nodiscard]] std::uint64_t bytes_per_second() const override { return options_.bytes_per_second; }
  void set_faults(FaultScript faults);

  [[nodiscard]] const DeviceOptions& options() const { return options_; }  // faults: not while a transfer may happen
  [[nodiscard]] const std::shared_ptr<VirtualStorage>& storage() const { return storage_; }
  // Image bytes that were taken since the flow began or the power came.
  [[nodiscard]] std::uint64_t position() const;
  // How many images were taken to their end and confirmed.
  [[nodiscard]] std::uint64_t completed_images() const;

 private:
  using Opcode = devices::simple_io::Opcode;
  enum class State { command, query_parameter, read_parameters, flashing };
  struct Waiting {
    core::ByteBuffer bytes;
    std::size_t sent = 0;
    bool stall = false;
    devices::simple_io::DiskRange disk;  // what of the disk is still to be sent after `bytes`
  };

  VirtualSimpleIoDevice(DeviceOptions options, std::shared_ptr<VirtualStorage> storage);
  Outcome on_command(core::ByteView transfer);
  Outcome on_image_data(core::ByteView transfer);
  void on_packet();
  void on_query(std::uint8_t command);
  void on_disk_range();
  [[nodiscard]] bool knows(std::uint8_t command) const;
  void begin_flash();
  void forget_image();
  void end_image();
  void answer(core::ByteBuffer bytes);
  void answer(Opcode code);
  void answer_fault(const DeviceFault& fault, Opcode during);
  [[nodiscard]] bool load_disk_piece(Waiting& waiting);

  DeviceOptions options_;
  std::shared_ptr<VirtualStorage> storage_;
  mutable std::mutex mutex_;
  State state_ = State::command;
  core::ByteBuffer gathered_;  // of a packet, or of a command's parameters
  std::deque<Waiting> waiting_;
  std::unique_ptr<FfuReceiver> receiver_;
  std::uint32_t next_packet_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t completed_images_ = 0;
};

}  // namespace imprint::virtual_device
