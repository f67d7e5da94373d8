// SPDX-License-Identifier: GPL-3.0-or-later
// Reads recordings, of this program and of usbmon (dumpcap, Wireshark), block by block: outside bytes, never trusted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "devices/capture/pcapng.hpp"
#include "flash/core/block_io.hpp"
#include "flash/core/result.hpp"

namespace imprint::capture {

struct Interface {
  std::uint16_t link_type = 0;
  std::string name;  // printable
};

// A packet of usbmon's.
struct UsbPacket {
  std::uint64_t frame = 0;  // the number that Wireshark shows: packets of the file, from 1
  std::uint32_t interface = 0;
  usbmon::Header header = {};
  std::uint64_t data_at = 0;  // in the file
  std::uint32_t data_size = 0;
  std::uint64_t dropped = 0;  // packets of the interface that are missing before it
};
// What a block says at the end of an interface.
struct InterfaceNote {
  std::uint32_t interface = 0;
  std::string comment;
};
using RecordedEvent = std::variant<UsbPacket, InterfaceNote>;

// One thread. Blocks that are not known, packets of other links and options that are not known are passed over. Data
// is never read here, and no length in the file sizes an allocation beyond kMaxOptionBytes.
class PcapngReader {
 public:
  static constexpr std::uint64_t kMaxOptionBytes = 256U << 10;  // of a block
  static constexpr std::size_t kMaxInterfaces = 4096;

  // `file` outlives the reader.
  explicit PcapngReader(const core::BlockSource& file) : file_(file) {}

  // Nothing at the end. `capture.not-a-recording`, `capture.malformed`, or the error of the file.
  [[nodiscard]] core::Result<std::optional<RecordedEvent>> next();
  // Of the section of the last event.
  [[nodiscard]] const std::vector<Interface>& interfaces() const { return interfaces_; }
  [[nodiscard]] const std::string& program() const { return program_; }  // of the first section, printable
  // The last block is not whole: whoever wrote the file was stopped.
  [[nodiscard]] bool is_cut_off() const { return cut_off_; }
  // There was an interface of a USB link.
  [[nodiscard]] bool has_usb() const { return has_usb_; }

 private:
  struct Block {
    std::uint64_t at = 0;
    std::uint32_t type = 0;
    std::uint32_t length = 0;
  };
  struct Option {
    std::uint16_t code = 0;
    core::ByteBuffer value;
  };
  // Nothing where the file ends.
  [[nodiscard]] core::Result<std::optional<Block>> next_block();
  [[nodiscard]] core::Result<std::uint32_t> read_number(std::uint64_t at) const;
  template <core::WireStruct T>
  [[nodiscard]] core::Result<T> read_head(const Block& block) const;
  [[nodiscard]] core::Result<std::vector<Option>> read_options(const Block& block, std::uint64_t from) const;
  [[nodiscard]] core::Status begin_section(const Block& block);
  [[nodiscard]] core::Status add_interface(const Block& block);
  [[nodiscard]] core::Result<std::optional<UsbPacket>> read_packet(const Block& block) const;
  [[nodiscard]] core::Result<InterfaceNote> read_note(const Block& block) const;

  const core::BlockSource& file_;
  std::uint64_t at_ = 0;
  std::uint64_t frame_ = 0;
  std::uint32_t sections_ = 0;
  bool big_endian_ = false;
  bool cut_off_ = false;
  bool has_usb_ = false;
  std::string program_;
  std::vector<Interface> interfaces_;
};

}  // namespace imprint::capture
