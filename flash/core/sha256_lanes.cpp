// SPDX-License-Identifier: GPL-3.0-or-later
// Which path this machine takes, and everything of SHA-256 around the compression function: padding, and lanes that end
// at different times.
#include "flash/core/sha256_lanes.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>

#include "flash/core/sha256_kernel.hpp"

namespace imprint::core {
namespace {

constexpr std::size_t kBlock = 64;
constexpr std::size_t kMaxLanes = Sha256Lanes::kMaxLanes;
constexpr std::array<std::uint32_t, 8> kInitial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

void require(bool kept) {
  if (!kept) std::abort();  // a caller's mistake: going on would read past a buffer or give a wrong digest
}

bool is_available(Sha256Path path) {
#ifdef IMPRINT_SHA256_VECTORS
  // Both ask the operating system too whether it saves the wide registers.
  if (path == Sha256Path::avx2) return __builtin_cpu_supports("avx2") != 0;
  if (path == Sha256Path::avx512) {
    return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0;
  }
#endif
  return path == Sha256Path::openssl;
}

using Compress = void (*)(std::uint32_t* state, const std::uint8_t* const* data, std::size_t blocks);

// openssl has none.
Compress compress_of(Sha256Path path) {
#ifdef IMPRINT_SHA256_VECTORS
  if (path == Sha256Path::avx2) return detail::compress_avx2;
  if (path == Sha256Path::avx512) return detail::compress_avx512;
#endif
  require(path == Sha256Path::openssl);
  return nullptr;
}

// Fetched once, because a fetch takes a lock and as long as hashing a kilobyte. Never freed: threads may still hash
// while the process ends.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const kAlgorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (kAlgorithm == nullptr) std::abort();
  return kAlgorithm;
}

void hash_alone(ByteView message, Sha256& digest) {
  if (EVP_Digest(message.data(), message.size(), digest.data(), nullptr, sha256_algorithm(), nullptr) != 1) {
    std::abort();
  }
}

// state: the rows of one vector of `width` lanes.
void write_initial(std::span<std::uint32_t> state, std::size_t width) {
  for (std::size_t row = 0; row < kInitial.size(); ++row) {
    std::ranges::fill(state.subspan(row * width, width), kInitial[row]);
  }
}

Sha256 read_digest(std::span<const std::uint32_t> state, std::size_t width, std::size_t lane) {
  Sha256 digest{};
  for (std::size_t row = 0; row < kInitial.size(); ++row) {
    const std::uint32_t word = state[row * width + lane];
    for (std::size_t i = 0; i < 4; ++i) digest[row * 4 + i] = static_cast<std::uint8_t>(word >> (24 - 8 * i));
  }
  return digest;
}

// The end of a message with its padding (FIPS 180-4, section 5.1.1): one block, or two.
struct Tail {
  std::array<std::uint8_t, 2 * kBlock> bytes;
  std::size_t blocks;
};

// tail: all zeros so far; rest: what does not fill a block; length: bytes of the whole message.
void write_tail(Tail& tail, ByteView rest, std::uint64_t length) {
  tail.blocks = rest.size() + 9 > kBlock ? 2 : 1;
  std::ranges::copy(rest, tail.bytes.begin());
  tail.bytes[rest.size()] = 0x80;
  const std::uint64_t bits = length * 8;
  const std::span<std::uint8_t> field = std::span(tail.bytes).subspan(tail.blocks * kBlock - 8, 8);
  for (std::size_t i = 0; i < 8; ++i) field[i] = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
}

// Messages of any lengths, one for each lane of one vector. A lane that is through goes along idle: it is given the
// data of one that is not, and its digest has been taken before.
class LaneGroup {
 public:
  explicit LaneGroup(Sha256Path path) : compress_(compress_of(path)), width_(lanes_of(path)) {
    write_initial(state_, width_);
  }

  void add(ByteView message, Sha256& digest) {
    Lane& lane = lanes_[count_];
    const std::size_t blocks = message.size() / kBlock;
    write_tail(tails_[count_], message.subspan(blocks * kBlock), message.size());
    lane = {message.data(), blocks, false, &digest};
    if (blocks == 0) enter_tail(count_);
    ++count_;
  }

  void run() {
    for (std::size_t busy = count_; busy > 0;) {
      const std::size_t blocks = step();
      for (std::size_t i = 0; i < count_; ++i) {
        if (lanes_[i].blocks != 0 && advance(i, blocks)) --busy;
      }
    }
  }

 private:
  struct Lane {
    const std::uint8_t* next;
    std::size_t blocks;  // of the message, then of its tail; 0 is idle
    bool in_tail;
    Sha256* digest;
  };

  void enter_tail(std::size_t i) { lanes_[i] = {tails_[i].bytes.data(), tails_[i].blocks, true, lanes_[i].digest}; }

  // As many blocks as every busy lane has.
  std::size_t step() {
    const Lane* shortest = nullptr;
    for (const Lane& lane : std::span(lanes_).first(count_)) {
      if (lane.blocks != 0 && (shortest == nullptr || lane.blocks < shortest->blocks)) shortest = &lane;
    }
    std::array<const std::uint8_t*, kMaxLanes> data{};
    for (std::size_t i = 0; i < width_; ++i) {
      data[i] = i < count_ && lanes_[i].blocks != 0 ? lanes_[i].next : shortest->next;
    }
    compress_(state_.data(), data.data(), shortest->blocks);
    return shortest->blocks;
  }

  // Whether the lane is through.
  bool advance(std::size_t i, std::size_t blocks) {
    Lane& lane = lanes_[i];
    lane.next += blocks * kBlock;
    lane.blocks -= blocks;
    if (lane.blocks != 0) return false;
    if (!lane.in_tail) {
      enter_tail(i);
      return false;
    }
    *lane.digest = read_digest(state_, width_, i);
    return true;
  }

  Compress compress_;
  std::size_t width_;
  std::size_t count_ = 0;
  std::array<std::uint32_t, 8 * kMaxLanes> state_{};
  std::array<Lane, kMaxLanes> lanes_{};
  std::array<Tail, kMaxLanes> tails_{};
};

// Hashes by `path`, in groups of as many messages as it has lanes. A group that is not worth it, because its longest
// message stands out or because few messages are left, gives its longest to OpenSSL and is looked at again.
// worth: how many messages OpenSSL hashes in the time of one group.
void hash_many(Sha256Path path, double worth, std::span<const ByteView> messages, std::span<Sha256> digests) {
  require(messages.size() == digests.size());
  const auto blocks = [&](std::size_t i) { return messages[i].size() / kBlock + 1; };
  std::vector<std::size_t> order(messages.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Longest first; of the same length in the order of memory.
  std::ranges::sort(
      order, [&](std::size_t a, std::size_t b) { return blocks(a) != blocks(b) ? blocks(a) > blocks(b) : a < b; });
  for (std::size_t first = 0; first < order.size();) {
    const auto group = std::span(order).subspan(first, std::min(lanes_of(path), order.size() - first));
    std::size_t sum = 0;
    for (const std::size_t i : group) sum += blocks(i);
    if (static_cast<double>(sum) < worth * static_cast<double>(blocks(group.front()))) {
      hash_alone(messages[group.front()], digests[group.front()]);
      ++first;
      continue;
    }
    LaneGroup lanes(path);
    for (const std::size_t i : group) lanes.add(messages[i], digests[i]);
    lanes.run();
    first += group.size();
  }
}

struct Choice {
  Sha256Path path = Sha256Path::openssl;
  double worth = 0;  // see hash_many
};

// Measured, not looked up: whether OpenSSL's one message at a time is quicker depends on its version, on whether it
// uses the SHA extensions, and on the clock at which this processor runs wide instructions. The best of a few rounds,
// since the first one also wakes the upper half of the vector unit, and any may be interrupted.
Choice choose() {
  constexpr std::size_t kLength = 4096;
  constexpr int kRounds = 4;
  const ByteBuffer bytes(kMaxLanes * kLength, 0x5A);
  std::array<ByteView, kMaxLanes> messages;
  for (std::size_t i = 0; i < kMaxLanes; ++i) messages[i] = ByteView(bytes).subspan(i * kLength, kLength);
  std::array<Sha256, kMaxLanes> digests{};
  using Seconds = std::chrono::duration<double>;
  const auto measure = [&](Sha256Path path) {
    Seconds best = Seconds::max();
    for (int round = 0; round < kRounds; ++round) {
      const auto start = std::chrono::steady_clock::now();
      sha256_many(path, messages, digests);
      best = std::min<Seconds>(best, std::chrono::steady_clock::now() - start);
    }
    return best;
  };
  const Seconds alone = measure(Sha256Path::openssl);
  Choice choice;
  Seconds best = alone;
  for (const Sha256Path path : {Sha256Path::avx2, Sha256Path::avx512}) {
    if (!is_available(path)) continue;
    const Seconds took = measure(path);
    if (took >= best) continue;
    best = took;
    choice = {path, static_cast<double>(lanes_of(path)) * (took / alone)};
  }
  return choice;
}

const Choice& chosen() {
  static const Choice kChoice = choose();
  return kChoice;
}

Sha256Path path_for(std::size_t lanes) {
  const Choice& choice = chosen();
  const std::size_t width = lanes_of(choice.path);
  const std::size_t vectors = (lanes + width - 1) / width;
  return static_cast<double>(lanes) < choice.worth * static_cast<double>(vectors) ? Sha256Path::openssl : choice.path;
}

}  // namespace

std::string_view to_string(Sha256Path path) {
  switch (path) {
    case Sha256Path::openssl:
      return "openssl";
    case Sha256Path::avx2:
      return "avx2";
    case Sha256Path::avx512:
      return "avx512";
  }
  return "openssl";
}

Sha256Path sha256_path() { return chosen().path; }

std::vector<Sha256Path> available_sha256_paths() {
  std::vector<Sha256Path> paths = {Sha256Path::openssl};
  for (const Sha256Path path : {Sha256Path::avx2, Sha256Path::avx512}) {
    if (is_available(path)) paths.push_back(path);
  }
  return paths;
}

std::size_t lanes_of(Sha256Path path) {
  switch (path) {
    case Sha256Path::openssl:
      return 1;
    case Sha256Path::avx2:
      return 8;
    case Sha256Path::avx512:
      return 16;
  }
  return 1;
}

void sha256_many(std::span<const ByteView> messages, std::span<Sha256> digests) {
  const Choice& choice = chosen();
  if (choice.path == Sha256Path::openssl) return sha256_many(choice.path, messages, digests);
  hash_many(choice.path, choice.worth, messages, digests);
}

void sha256_many(Sha256Path path, std::span<const ByteView> messages, std::span<Sha256> digests) {
  require(is_available(path) && messages.size() == digests.size());
  if (path != Sha256Path::openssl) return hash_many(path, 0, messages, digests);
  for (std::size_t i = 0; i < messages.size(); ++i) hash_alone(messages[i], digests[i]);
}

Sha256Lanes::Sha256Lanes(std::size_t lanes) : Sha256Lanes(lanes, path_for(lanes)) {}

Sha256Lanes::Sha256Lanes(std::size_t lanes, Sha256Path path) : lanes_(lanes), path_(path) {
  require(lanes >= 1 && lanes <= kMaxLanes && is_available(path));
  if (path == Sha256Path::openssl) streams_.resize(lanes);
  start();
}

void Sha256Lanes::start() {
  length_ = 0;
  const std::size_t width = lanes_of(path_);
  for (std::size_t first = 0; first < lanes_; first += width) {
    write_initial(std::span(state_).subspan(first * kInitial.size()), width);
  }
}

// data: of the first lanes_ lanes. Lanes of a vector that no stream uses repeat the last one.
void Sha256Lanes::compress(const std::array<const std::uint8_t*, kMaxLanes>& data, std::size_t blocks) {
  const std::size_t width = lanes_of(path_);
  for (std::size_t first = 0; first < lanes_; first += width) {
    std::array<const std::uint8_t*, kMaxLanes> vector{};
    for (std::size_t i = 0; i < width; ++i) vector[i] = data[std::min(first + i, lanes_ - 1)];
    compress_of(path_)(state_.data() + first * kInitial.size(), vector.data(), blocks);
  }
}

void Sha256Lanes::update(std::span<const ByteView> pieces) {
  require(pieces.size() == lanes_);
  const std::size_t length = pieces.front().size();
  require(length % kBlock == 0 && std::ranges::all_of(pieces, [&](ByteView p) { return p.size() == length; }));
  length_ += length;
  if (path_ == Sha256Path::openssl) {
    for (std::size_t i = 0; i < lanes_; ++i) streams_[i].update(pieces[i]);
    return;
  }
  std::array<const std::uint8_t*, kMaxLanes> data{};
  std::ranges::transform(pieces, data.begin(), [](ByteView piece) { return piece.data(); });
  compress(data, length / kBlock);
}

void Sha256Lanes::finish(std::span<const ByteView> pieces, std::span<Sha256> digests) {
  require(pieces.size() == lanes_ && digests.size() == lanes_);
  const std::size_t whole = pieces.front().size() / kBlock * kBlock;
  const std::size_t rest = pieces.front().size() - whole;
  require(std::ranges::all_of(pieces, [&](ByteView p) { return p.size() == whole + rest; }));
  std::array<ByteView, kMaxLanes> heads;
  std::ranges::transform(pieces, heads.begin(), [&](ByteView piece) { return piece.first(whole); });
  update(std::span(heads).first(lanes_));
  if (path_ == Sha256Path::openssl) {
    for (std::size_t i = 0; i < lanes_; ++i) {
      streams_[i].update(pieces[i].subspan(whole));
      digests[i] = streams_[i].finish();
    }
  } else {
    std::array<Tail, kMaxLanes> tails{};
    std::array<const std::uint8_t*, kMaxLanes> data{};
    for (std::size_t i = 0; i < lanes_; ++i) {
      write_tail(tails[i], pieces[i].subspan(whole), length_ + rest);
      data[i] = tails[i].bytes.data();
    }
    compress(data, tails.front().blocks);
    const std::size_t width = lanes_of(path_);
    for (std::size_t i = 0; i < lanes_; ++i) {
      digests[i] = read_digest(std::span(state_).subspan(i / width * width * kInitial.size()), width, i % width);
    }
  }
  start();
}

}  // namespace imprint::core
