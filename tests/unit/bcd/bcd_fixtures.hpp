// SPDX-License-Identifier: GPL-3.0-or-later
// Stores, bytes and files that several tests of this folder need.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "flash/bcd/store.hpp"
#include "tests/unit/fixtures/scratch_folder.hpp"

namespace imprint::bcd::fixtures {

inline core::Guid guid(std::string_view text) { return core::Guid::parse(text).value(); }

// "06000000 00*16" style: hexadecimal pairs, spaces ignored, XX*N repeats a byte N times.
inline core::ByteBuffer bytes_of(std::string_view text) {
  core::ByteBuffer out;
  std::size_t i = 0;
  while (i < text.size()) {
    if (text[i] == ' ' || text[i] == '\n') {
      ++i;
    } else if (text[i] == '*') {
      std::size_t used = 0;
      const int count = std::stoi(std::string(text.substr(i + 1, 3)), &used);
      out.insert(out.end(), static_cast<std::size_t>(count - 1), out.back());
      i += 1 + used;
    } else {
      out.push_back(static_cast<std::uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
      i += 2;
    }
  }
  return out;
}

// UTF-16LE of ASCII with a terminator.
inline core::ByteBuffer utf16(std::string_view ascii) {
  core::ByteBuffer out;
  for (const char c : ascii) {
    out.push_back(static_cast<std::uint8_t>(c));
    out.push_back(0);
  }
  out.insert(out.end(), 2, 0);
  return out;
}

inline core::ByteBuffer joined(core::ByteBuffer a, const core::ByteBuffer& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline Device gpt_device() {
  return Device{
      {}, GptPartition{guid("{ae420040-13dd-41f2-ae7f-0dc35854c8d7}"), guid("{11111111-2222-3333-4444-555555555555}")}};
}

inline Device ramdisk_device() {
  return Device{objects::ramdisk_options(), Ramdisk{std::make_shared<const Device>(gpt_device()), "\\winpe.wim"}};
}

// One object with every kind of value, and a boot manager.
inline Store sample_store() {
  Store store;
  Object& manager = store.object(objects::boot_manager(), 0x10100002);
  manager.set(0x11000001, Device{});
  manager.set(0x12000004, std::string("Windows Boot Manager \xC3\xA9\xF0\x9F\x92\xBE"));
  manager.set(0x14000006, std::vector<core::Guid>{objects::global_settings()});
  manager.set(0x23000003, objects::mobile_startup());
  manager.set(0x24000001, std::vector<core::Guid>{objects::mobile_startup(), objects::mmos()});
  manager.set(0x24000002, std::vector<core::Guid>{});
  manager.set(0x25000004, std::uint64_t{30});
  manager.set(0x26000031, true);
  manager.set(0x27000030, std::vector<std::uint64_t>{1, 0x26000202, 0xFFFFFFFFFFFFFFFF});
  Object& mmos = store.object(objects::mmos(), 0x10200003);
  mmos.set(0x11000001, ramdisk_device());
  mmos.set(0x21000001, ramdisk_device());
  mmos.set(0x22000002, std::string());
  mmos.set(0x26000022, false);
  mmos.set(0x25000020, core::ByteBuffer{1, 2, 3, 4, 5, 6, 7, 8, 9});
  return store;
}

inline core::ByteBuffer file_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

using TemporaryFolder = fixture::ScratchFolder;

}  // namespace imprint::bcd::fixtures
