// SPDX-License-Identifier: GPL-3.0-or-later
// Reads BCD objects out of a hive through hivex. hivex opens a path and trusts more of the file than we do, so the base
// block is checked before it sees the bytes, and everything that it hands back is counted against what can fit the
// file.
#include <hivex.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include <string>

#include "flash/bcd/errors.hpp"
#include "flash/bcd/hive.hpp"
#include "flash/core/errors.hpp"
#include "flash/core/text.hpp"

namespace imprint::bcd {
namespace {

constexpr std::size_t kBaseBlockSize = 4096;
constexpr std::size_t kPageSize = 4096;
constexpr std::size_t kChecksumOffset = 0x1FC;
constexpr std::size_t kRootOffset = 0x24;
constexpr std::size_t kDataSizeOffset = 0x28;

struct HivexCloser {
  void operator()(hive_h* hive) const { hivex_close(hive); }
};
struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }  // NOLINT(cppcoreguidelines-no-malloc): hivex mallocs
};
template <class T>
using Malloced = std::unique_ptr<T, FreeDeleter>;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

// hivex writes whatever number the file has, and loading one that the enumeration does not have is undefined.
std::uint32_t number_of(const hive_type& type) {
  static_assert(sizeof(hive_type) == sizeof(std::uint32_t));
  std::uint32_t number = 0;
  std::memcpy(&number, &type, sizeof(number));
  return number;
}

std::uint32_t base_block_checksum(core::ByteView hive) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < kChecksumOffset; i += 4) sum ^= core::load_le<std::uint32_t>(hive.data() + i);
  return sum;
}

// The part of the bytes that is the hive; files may be longer than their hive.
core::Result<core::ByteView> checked_extent(core::ByteView hive) {
  if (hive.size() < 4 || core::as_text(hive.first(4)) != "regf") {
    return fail("bcd.not-a-hive", "the signature is not regf").with("offset", 0);
  }
  if (hive.size() < kBaseBlockSize) {
    return fail("bcd.damaged", "the file ends inside of the base block")
        .with("expected", kBaseBlockSize)
        .with("actual", hive.size());
  }
  const auto checksum = core::load_le<std::uint32_t>(hive.data() + kChecksumOffset);
  if (checksum != base_block_checksum(hive)) {
    return fail("bcd.damaged", "the base block's checksum is wrong")
        .with("offset", kChecksumOffset)
        .with("expected", base_block_checksum(hive))
        .with("actual", checksum);
  }
  const std::uint64_t data_size = core::load_le<std::uint32_t>(hive.data() + kDataSizeOffset);
  if (data_size == 0 || data_size % kPageSize != 0 || data_size > hive.size() - kBaseBlockSize) {
    return fail("bcd.damaged", "the size of the hive's data does not fit the file")
        .with("offset", kDataSizeOffset)
        .with("expected", hive.size() - kBaseBlockSize)
        .with("actual", data_size);
  }
  if (kBaseBlockSize + data_size > kMaxHiveSize) {
    return fail("bcd.damaged", "the hive is larger than any BCD store")
        .with("expected", kMaxHiveSize)
        .with("actual", data_size);
  }
  const std::uint64_t root = core::load_le<std::uint32_t>(hive.data() + kRootOffset);
  if (root >= data_size)
    return fail("bcd.damaged", "the root key lies outside of the hive").with("offset", kRootOffset);
  return hive.first(kBaseBlockSize + static_cast<std::size_t>(data_size));
}

core::Status fill(int fd, core::ByteView bytes) {
  while (!bytes.empty()) {
    const auto written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return core::fail_errno(errno, "io.write-failed", "a copy of the hive in memory");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

// Walks one hive. Totals are bounded by the size of the file, so that keys which point at one another cannot make a
// small file into a large store.
class HiveWalk {
 public:
  HiveWalk(hive_h* hive, std::uint64_t size) : hive_(hive), size_(size) {}

  core::Result<std::vector<Object>> objects() {
    const hive_node_h root = hivex_root(hive_);
    if (root == 0) return fail("bcd.damaged", "the root key cannot be read");
    errno = 0;
    const hive_node_h list = hivex_node_get_child(hive_, root, "Objects");
    if (list == 0 && errno != 0 && errno != HIVEX_NO_KEY)
      return fail("bcd.damaged", "the root key's list cannot be read");
    if (list == 0) return fail("bcd.not-a-store", "there is no key Objects");
    IMPRINT_TRY(const auto keys, children(list, kMaxObjects, "Objects"));
    std::vector<Object> out;
    for (const hive_node_h key : keys) {
      IMPRINT_TRY(Object object, read_object(key));
      out.push_back(std::move(object));
    }
    std::ranges::sort(out, {}, [](const Object& object) { return object.id.to_string(); });
    if (std::ranges::adjacent_find(out, {}, &Object::id) != out.end())
      return fail("bcd.damaged", "an object is there twice");
    return out;
  }

 private:
  core::Result<std::vector<hive_node_h>> children(hive_node_h node, std::size_t limit, const std::string& where) {
    const Malloced<hive_node_h> list(hivex_node_children(hive_, node));
    if (!list) return fail("bcd.damaged", "a list of keys cannot be read").with("key", where).with("offset", node);
    std::vector<hive_node_h> out;
    for (const hive_node_h* child = list.get(); *child != 0; ++child) {
      if (out.size() == limit || !seen_.insert(*child).second) {
        return fail("bcd.damaged", "a list of keys is longer than a store can be, or names a key twice")
            .with("key", where)
            .with("offset", node);
      }
      out.push_back(*child);
    }
    return out;
  }

  core::Result<std::string> name(hive_node_h node) {
    const Malloced<char> text(hivex_node_name(hive_, node));
    if (!text) return fail("bcd.damaged", "the name of a key cannot be read").with("offset", node);
    return std::string(text.get());
  }

  // Nothing when the key has no such value.
  core::Result<std::optional<RegistryValue>> value(hive_node_h node, const char* wanted, const std::string& where) {
    errno = 0;
    const hive_value_h handle = hivex_node_get_value(hive_, node, wanted);
    if (handle == 0 && (errno == 0 || errno == HIVEX_NO_KEY)) return std::nullopt;
    if (handle == 0) return fail("bcd.damaged", "the values of a key cannot be read").with("key", where);
    hive_type type = hive_t_REG_NONE;
    std::size_t length = 0;
    if (hivex_value_type(hive_, handle, &type, &length) != 0) {
      return fail("bcd.damaged", "a value cannot be read").with("key", where).with("offset", handle);
    }
    bytes_ += length;
    if (length > kMaxValueSize || bytes_ > size_) {
      return fail("bcd.damaged", "a value is larger than the hive allows").with("key", where).with("actual", length);
    }
    const Malloced<char> data(hivex_value_value(hive_, handle, &type, &length));
    if (!data || length > kMaxValueSize) {
      return fail("bcd.damaged", "the data of a value cannot be read").with("key", where).with("offset", handle);
    }
    const core::ByteView view = core::as_bytes({data.get(), length});
    return RegistryValue{number_of(type), core::ByteBuffer(view.begin(), view.end())};
  }

  core::Result<std::uint32_t> object_type(hive_node_h key, const std::string& where) {
    const hive_node_h description = hivex_node_get_child(hive_, key, "Description");
    if (description == 0) return fail("bcd.damaged", "an object has no key Description").with("key", where);
    IMPRINT_TRY(const auto type, value(description, "Type", where));
    if (!type || type->type != kRegDword || type->bytes.size() != 4) {
      return fail("bcd.damaged", "an object's Type is missing or not a DWORD").with("key", where);
    }
    return core::load_le<std::uint32_t>(type->bytes.data());
  }

  core::Result<Object> read_object(hive_node_h key) {
    IMPRINT_TRY(const std::string key_name, name(key));
    const auto id = core::Guid::parse(key_name);
    if (!id) return fail("bcd.damaged", "an object's name is not a GUID").with("key", core::printable(key_name));
    Object object;
    object.id = *id;
    IMPRINT_TRY(object.type, object_type(key, key_name));
    errno = 0;
    const hive_node_h list = hivex_node_get_child(hive_, key, "Elements");
    if (list == 0 && errno != 0 && errno != HIVEX_NO_KEY) {
      return fail("bcd.damaged", "an object's elements cannot be read").with("key", key_name);
    }
    if (list == 0) return object;
    IMPRINT_TRY(const auto keys, children(list, kMaxElementsOfObject, key_name));
    for (const hive_node_h element : keys) {
      IMPRINT_TRY(Element decoded, read_element(element, key_name));
      object.elements.push_back(std::move(decoded));
    }
    std::ranges::sort(object.elements, {}, &Element::id);
    if (std::ranges::adjacent_find(object.elements, {}, &Element::id) != object.elements.end()) {
      return fail("bcd.damaged", "an element is there twice").with("key", key_name);
    }
    return object;
  }

  core::Result<Element> read_element(hive_node_h key, const std::string& object) {
    IMPRINT_TRY(const std::string key_name, name(key));
    const auto id = core::parse_number("0x" + key_name);
    if (key_name.size() != 8 || !id) {
      return fail("bcd.damaged", "an element's name is not 8 hexadecimal digits")
          .with("object", object)
          .with("key", core::printable(key_name));
    }
    const std::string where = object + "\\" + key_name;
    IMPRINT_TRY(const auto data, value(key, "Element", where));
    return decode_element(static_cast<std::uint32_t>(*id), data.value_or(RegistryValue{}));
  }

  hive_h* hive_;
  std::uint64_t size_;
  std::uint64_t bytes_ = 0;
  std::set<hive_node_h> seen_;
};

}  // namespace

core::Result<std::vector<Object>> read_hive(core::ByteView hive) {
  IMPRINT_TRY(const core::ByteView extent, checked_extent(hive));
  const FileDescriptor file(memfd_create("bcd", MFD_CLOEXEC));
  if (file.get() < 0) return core::fail_errno(errno, "io.open-failed", "memory for a copy of the hive");
  IMPRINT_CHECK(fill(file.get(), extent));
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  const std::unique_ptr<hive_h, HivexCloser> opened(hivex_open(path.c_str(), 0));
  if (!opened) return fail("bcd.damaged", "the structure of the hive does not hold together");
  return HiveWalk(opened.get(), extent.size()).objects();
}

}  // namespace imprint::bcd
