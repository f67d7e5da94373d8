// SPDX-License-Identifier: GPL-3.0-or-later
// A BCD store: boot objects and their elements, in a registry hive. Read from bytes, edited as values, written as a new
// hive. Formats as observed on real stores (docs/formats.md) and as named in bcd.h of public boot loaders.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "flash/core/bytes.hpp"
#include "flash/core/guid.hpp"
#include "flash/core/result.hpp"

namespace imprint::bcd {

struct Device;

struct BootDevice {
  friend bool operator==(const BootDevice&, const BootDevice&) = default;
};
struct GptPartition {
  core::Guid disk;
  core::Guid partition;
  friend bool operator==(const GptPartition&, const GptPartition&) = default;
};
struct MbrPartition {
  std::uint32_t signature = 0;
  std::uint64_t offset = 0;  // bytes
  friend bool operator==(const MbrPartition&, const MbrPartition&) = default;
};
// A file that is read into memory and booted from there. parent is the device that holds the file; none means Boot.
struct Ramdisk {
  std::shared_ptr<const Device> parent;  // its options are not part of the format
  std::string path;                      // "\winpe.wim", UTF-8
  friend bool operator==(const Ramdisk& a, const Ramdisk& b);
};
// The device that holds the file which another element (12000002, 22000002) names.
struct Locate {
  std::uint32_t element = 0;
  friend bool operator==(const Locate&, const Locate&) = default;
};
// A device this product does not decode, kept byte for byte: all that follows the options GUID, its header included.
struct UnknownDevice {
  std::uint32_t type = 0;
  core::ByteBuffer bytes;
  friend bool operator==(const UnknownDevice&, const UnknownDevice&) = default;
};
struct Device {
  core::Guid options;  // the additional-options object; zero when there is none
  std::variant<BootDevice, GptPartition, MbrPartition, Ramdisk, Locate, UnknownDevice> kind;
  friend bool operator==(const Device&, const Device&) = default;
};

// Format digit (bits 27-24 of the element id): 1 Device, 2 string, 3 Guid, 4 Guid list, 5 integer, 6 bool, 7 integer
// list. What does not decode (wrong registry type or size) is kept as bytes.
using Value = std::variant<Device, std::string, core::Guid, std::vector<core::Guid>, std::uint64_t, bool,
                           std::vector<std::uint64_t>, core::ByteBuffer>;

struct Element {
  std::uint32_t id = 0;
  Value value;
  // The registry type that a value kept as bytes came with, and is written with; 3 is REG_BINARY.
  std::uint32_t raw_type = 3;
  friend bool operator==(const Element&, const Element&) = default;
};

struct Object {
  core::Guid id;
  std::uint32_t type = 0;
  std::vector<Element> elements;  // by id
  [[nodiscard]] const Element* find(std::uint32_t element_id) const;
  void set(std::uint32_t element_id, Value value);
  friend bool operator==(const Object&, const Object&) = default;
};

// A value type: copies are independent; concurrent reads are safe, a change needs exclusive access.
class Store {
 public:
  // `bcd.not-a-hive`, `bcd.damaged`, `bcd.not-a-store`. Registry data beside objects and elements (KeyName, GuidCache,
  // FirmwareVariable) is not read. A hive whose last write is still in a log file is read as it stands.
  [[nodiscard]] static core::Result<Store> read(core::ByteView hive);
  // A new hive with these objects; the same store gives the same bytes. `bcd.write-failed`: a text is not UTF-8 or a
  // value is larger than 1 MiB.
  [[nodiscard]] core::Result<core::ByteBuffer> to_hive() const;

  // By id, in the order of the printed GUIDs, which is also the hive's.
  [[nodiscard]] const std::vector<Object>& objects() const { return objects_; }
  [[nodiscard]] const Object* find(const core::Guid& id) const;
  // The object with this id, made with this type when it is not there yet. Valid until the next object is made.
  Object& object(const core::Guid& id, std::uint32_t type);
  // The element, looked for through the inherit list (14000006) as the boot manager does; depth-limited against cycles.
  [[nodiscard]] const Element* find_inherited(const core::Guid& id, std::uint32_t element_id) const;

  friend bool operator==(const Store&, const Store&) = default;

 private:
  std::vector<Object> objects_;
};

// Bytes of a device element's REG_BINARY. `bcd.device-malformed`. What decodes encodes to the same bytes again; a text
// that is not UTF-8 is encoded with '?' in place of the bytes that are wrong.
[[nodiscard]] core::Result<Device> decode_device(core::ByteView bytes);
[[nodiscard]] core::ByteBuffer encode_device(const Device& device);

// bcdedit's names: "recoverysequence" for 0x14000008, "{bootmgr}" for the boot manager's id; empty when there is none.
[[nodiscard]] std::string_view element_name(std::uint32_t element_id);
// The same, where the type of the object changes the name: 0x23000003 is "default" in the boot manager and
// "resumeobject" in a loader.
[[nodiscard]] std::string_view element_name(std::uint32_t element_id, std::uint32_t object_type);
[[nodiscard]] std::string_view object_name(const core::Guid& id);

namespace objects {
// Ids and types of the objects that the product deals with.
[[nodiscard]] core::Guid boot_manager();          // 9dea862c-5cdd-4e70-acc1-f32b344d4795
[[nodiscard]] core::Guid mobile_startup();        // 01de5a27-8705-40db-bad6-96fa5187d4a6, IoT MainOS
[[nodiscard]] core::Guid mmos();                  // a5935ff2-32ba-4617-bf36-5ac314b3f9bf
[[nodiscard]] core::Guid ramdisk_options();       // ae5534e0-a924-466c-b836-758539a3ee3a
[[nodiscard]] core::Guid boot_loader_settings();  // 6efb52bf-1766-41db-a6b3-0ee5eff72bd7
[[nodiscard]] core::Guid global_settings();       // 7ea2e1ac-2e61-4728-aaa3-896d9d0a9f0e
}  // namespace objects

}  // namespace imprint::bcd
