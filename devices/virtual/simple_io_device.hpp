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
#include "flash/core/extent_set.hpp"
#include "flash/core/result.hpp"

namespace imprint::virtual_device {

// One answer of the device that goes wrong: the one to a command, or the one to a packet of the image.
struct AnswerFault {
  enum class Kind : std::uint8_t {
    stall,        // the IN pipe halts instead
    short_reply,  // half of the answer, an empty transfer where it is one byte
    garbage,      // bytes that mean nothing
    no_reply,     // nothing at all
    nack,         // a packet only: not taken, the host is asked to send it again
    wrong_crc     // the same, and the device logs that it came damaged; on the fast flow it gives up
  } kind = Kind::stall;
  std::optional<devices::simple_io::Opcode> to_command = std::nullopt;
  std::uint64_t at_byte = 0;  // without a command: of the image, in the packet whose answer goes wrong
  unsigned times = 1;         // this answer and as many of the next ones that are hit, but one
};

// What goes wrong with the device, and when. A fault happens once unless it says otherwise. What comes back after the
// device broke its connection is the bus's: see VirtualBus::plug.
struct FaultScript {
  std::optional<std::uint64_t> disconnect_at_byte = std::nullopt;  // of the image, counted as the packets come in
  std::optional<AnswerFault> answer = std::nullopt;
  std::uint64_t slow_write = 0;  // bytes a second that it takes of an image; 0: as the link goes
  std::optional<std::uint64_t> bad_sector =
      std::nullopt;                // byte offset on the disk; reads and writes fail there, always
  bool dies_after_reboot = false;  // from then on it says nothing, plugged in again or not
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
  std::chrono::milliseconds latency{0};          // of each transfer
  std::set<devices::simple_io::Opcode> without;  // commands that this device does not know
  // The fast flow, for a device whose capability says so (byte 0; byte 15 for the flavour with fixed sizes). Both even.
  std::uint32_t fast_transfer_size = 1U << 20;
  std::uint32_t fast_packet_data_size = 1U << 20;
  bool confirms_fast_flow = true;  // its position stays at the image's end, as the host's proof
  bool has_battery = false;        // a pulled cable does not make it forget its place in the image
  std::string id_override;         // shown instead of the platform id until it is cleared
  // Benchmarks only: hashes and the catalog are not checked, so that the simulator is not what is measured.
  bool trusts_image = false;
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
  [[nodiscard]] std::optional<Disk> disk() const override;
  [[nodiscard]] devices::UsbIdentity usb_identity() const override;
  [[nodiscard]] std::uint64_t bytes_per_second() const override;
  [[nodiscard]] std::chrono::milliseconds latency() const override { return options_.latency; }
  void set_faults(FaultScript faults);

  [[nodiscard]] const DeviceOptions& options() const { return options_; }  // faults: not while a transfer may happen
  [[nodiscard]] const std::shared_ptr<VirtualStorage>& storage() const { return storage_; }
  // Image bytes that were taken since the flow began or the power came.
  [[nodiscard]] std::uint64_t position() const;
  // How many images were taken to their end and confirmed.
  [[nodiscard]] std::uint64_t completed_images() const;
  enum class Mode : std::uint8_t { simple_io, mass_storage };
  // After SwitchToMassStorage and the loss of the connection that follows, usb_identity() is that of a disk and disk()
  // the storage, until the connection is lost once more. The commands of a disk are not this class's: as one it takes
  // no transfer.
  [[nodiscard]] Mode mode() const;
  struct BootMode {
    std::uint32_t mode = 0;
    std::string profile;
  };
  [[nodiscard]] std::optional<BootMode> boot_mode() const;  // as the host has set it

 private:
  using Opcode = devices::simple_io::Opcode;
  enum class State : std::uint8_t { command, parameters, write_data, flashing };
  struct Waiting {
    core::ByteBuffer bytes;
    std::size_t sent = 0;
    bool stall = false;
    bool garbage = false;                // of the disk
    devices::simple_io::DiskRange disk;  // what of the disk is still to be sent after `bytes`
  };

  VirtualSimpleIoDevice(DeviceOptions options, std::shared_ptr<VirtualStorage> storage);
  // Commands (simple_io_device_commands.cpp).
  Outcome on_command(core::ByteView transfer);
  Outcome on_plain_command();
  void on_parameters(core::ByteView transfer);
  void on_boot_mode(core::ByteView parameters);
  void on_disk_range(core::ByteView parameters);
  void on_write_data(core::ByteView transfer);
  void end_disk_write();
  [[nodiscard]] bool knows(std::uint8_t command) const;
  [[nodiscard]] bool is_on_disk(const devices::simple_io::DiskRange& range) const;
  [[nodiscard]] const std::string& shown_platform_id() const;
  [[nodiscard]] bool load_disk_piece(Waiting& waiting);

  // The image (simple_io_device_flash.cpp).
  void begin_flash(bool fast);
  Outcome on_image_data(core::ByteView transfer);
  void on_packet();
  void on_damaged_packet();
  [[nodiscard]] Verdict take_packet(core::ByteView packet);
  [[nodiscard]] std::size_t packet_data_size() const;
  void forget_image();
  void end_image();
  void give_up(const DeviceFault& fault);

  // Answers.
  void answer(core::ByteBuffer bytes);
  void answer(Opcode code);
  void answer(Waiting next);
  void answer_fault(const DeviceFault& fault, Opcode during);
  // Whether the answer that is due now goes wrong; counts it.
  [[nodiscard]] std::optional<AnswerFault::Kind> take_answer_fault();
  [[nodiscard]] bool packet_comes_damaged(std::uint64_t valid);

  DeviceOptions options_;
  std::shared_ptr<VirtualStorage> storage_;
  mutable std::mutex mutex_;
  State state_ = State::command;
  Opcode command_ = Opcode::id;  // the latest one
  std::size_t parameter_bytes_ = 0;
  core::ByteBuffer gathered_;                     // of a packet, or of a command's parameters
  std::optional<core::Extent> answering_packet_;  // of the image, while the answer to its packet is made
  bool complained_ = false;                       // of transfers that are no command; once is enough
  bool fast_ = false;                             // the flow of the image that is under way
  devices::simple_io::DiskRange writing_;         // what is still to come
  bool write_failed_ = false;
  std::uint64_t written_ = 0;
  Mode mode_ = Mode::simple_io;
  Mode next_mode_ = Mode::simple_io;
  bool leaving_ = false;  // gone once the host has the last answer, or sends what is not expected any more
  bool dead_ = false;
  std::optional<BootMode> boot_mode_;
  std::deque<Waiting> waiting_;
  std::unique_ptr<FfuReceiver> receiver_;
  std::uint32_t next_packet_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t completed_images_ = 0;
};

}  // namespace imprint::virtual_device
