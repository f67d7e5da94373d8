// SPDX-License-Identifier: GPL-3.0-or-later
// Recordings from outside: the reader, and a replay of whatever device they claim to hold. The first byte says whether
// the rest is a file, or transfers of which a sound one is made, so that the replay is reached as well.
#include <memory>

#include "devices/capture/pcapng_writer.hpp"
#include "devices/capture/replay_bus.hpp"
#include "flash/core/block_io.hpp"

using namespace imprint;
using namespace imprint::capture;

namespace {

constexpr std::size_t kMostTransfers = 64;

bool is_printable(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

core::ByteBuffer descriptor(bool is_ufp) {
  core::ByteBuffer out(request::kDeviceDescriptorSize);
  core::store_le<std::uint16_t>(out.data() + 8, 0x045E);
  core::store_le<std::uint16_t>(out.data() + 10, is_ufp ? 0x066B : 0x062A);
  return out;
}

void add(core::ByteBuffer& file, std::uint64_t id, const TransferFacts& facts, core::ByteView data) {
  const TransferBlocks blocks = transfer_blocks({.id = id}, facts, data.size());
  append(file, blocks.before);
  append(file, data);
  append(file, blocks.after);
}

// Transfers of a kind, a status, a length and as much data.
core::ByteBuffer made_file(core::ByteView bytes, bool is_ufp, bool is_own) {
  core::ByteBuffer file = section_block(is_own ? "imprint fuzz" : "fuzz");
  append(file, interface_block("1-1", ""));
  const core::ByteBuffer device = descriptor(is_ufp);
  add(file, 1, {.kind = TransferKind::control_in, .asked = 18, .moved = 18, .setup = {0x80, 6, 0, 1, 0, 0, 18, 0}},
      device);
  for (std::uint64_t id = 2; bytes.size() >= 4 && id < kMostTransfers; ++id) {
    const auto size = core::load_le<std::uint16_t>(bytes.data() + 2);
    const core::ByteView data = bytes.subspan(4, std::min<std::size_t>(size, bytes.size() - 4));
    TransferFacts facts{.kind = static_cast<TransferKind>(bytes[0] % 3), .status = -static_cast<int>(bytes[1])};
    facts.asked = facts.kind == TransferKind::bulk_in ? 16384 : size;
    facts.moved = size;
    if (facts.kind == TransferKind::control_out) facts.setup = request::kLineState;
    add(file, id, facts, facts.kind == TransferKind::control_out ? core::ByteView{} : data);
    bytes = bytes.subspan(4 + data.size());
  }
  return file;
}

void replay(const core::ByteBuffer& bytes) {
  const auto recording = Recording::read(std::make_shared<core::MemorySource>(bytes));
  if (!recording) return;
  if (!is_printable((*recording)->program())) __builtin_trap();
  const std::size_t attempts = std::min<std::size_t>((*recording)->attempts().size(), 4);
  for (std::size_t i = 0; i < attempts; ++i) {
    const RecordedAttempt& attempt = (*recording)->attempts()[i];
    if (!is_printable(attempt.port.text) || !is_printable(attempt.connections.front().identity.serial))
      __builtin_trap();
    ReplayBus bus(*recording, i);
    const auto target = bus.open(attempt.port);
    if (!target) continue;
    const auto identity = (*target)->identify();
    if (identity && !is_printable(identity->platform_id)) __builtin_trap();
    static_cast<void>((*target)->open_disk());
    static_cast<void>((*target)->reboot());
    if (bus.state().replayed() > attempt.transfers()) __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const core::ByteView rest(data + 1, size - 1);
  replay(data[0] % 4 == 0 ? core::ByteBuffer(rest.begin(), rest.end())
                          : made_file(rest, data[0] % 2 == 0, data[0] >= 128));
  return 0;
}
