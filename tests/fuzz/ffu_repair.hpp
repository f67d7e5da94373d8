// SPDX-License-Identifier: GPL-3.0-or-later
// Makes a mutated FFU consistent again, so that the fuzzer gets behind the hashes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

// Where the headers can be parsed: sets the hash table's size and the hashes, and cuts or fills the file so that it
// ends with the payload. `buffer` is the whole room there is, `size` how much of it is used; the answer is how much is
// used then. Anything else stays as it is.
[[nodiscard]] std::size_t repair_ffu(std::span<std::uint8_t> buffer, std::size_t size);
