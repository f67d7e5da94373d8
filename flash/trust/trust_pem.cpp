// SPDX-License-Identifier: GPL-3.0-or-later
// Finds the blocks by their lines, so that none is passed over, and leaves the decoding of each to OpenSSL. Source: RFC
// 7468.
#include "flash/trust/trust_pem.hpp"

#include <openssl/pem.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "flash/core/bytes.hpp"
#include "flash/core/text.hpp"
#include "flash/trust/certificates.hpp"
#include "flash/trust/errors.hpp"

namespace imprint::trust {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
constexpr std::size_t kEncodedLine = 48;  // no word of a comment is as long, and few encoded lines are shorter

struct Block {
  std::string_view label;
  std::string_view text;  // from its first line to its last one
  std::size_t line = 0;
};

core::Failure damaged(std::string detail, std::size_t line) {
  return fail("trust.store-unreadable", std::move(detail)).with("line", line);
}

// The label of a line that is a right boundary of this kind.
std::optional<std::string_view> label_of(std::string_view line, std::string_view start) {
  if (!line.starts_with(start) || !line.ends_with(kDashes) || line.size() <= start.size() + kDashes.size()) {
    return std::nullopt;
  }
  const std::string_view label = line.substr(start.size(), line.size() - start.size() - kDashes.size());
  return label.find('-') == std::string_view::npos ? std::optional(label) : std::nullopt;
}

// A boundary with a dash too few or a blank in front, a spelling mistake in it, or what it would have enclosed.
bool looks_like_pem(std::string_view line) {
  if (line.starts_with('#')) return false;
  const std::string lower = core::to_lower_ascii(line);
  for (const char* word : {"-begin", "- begin", "-end", "- end", "begin cert", "end cert", "begin x509", "end x509"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  const std::string_view bare = core::trimmed(line);
  return bare.starts_with("----") ||
         (bare.size() >= kEncodedLine && bare.find_first_not_of(kBase64) == std::string_view::npos);
}

core::Result<std::vector<Block>> blocks_of(std::string_view text) {
  std::vector<Block> out;
  std::optional<Block> open;
  std::size_t block_start = 0;
  std::size_t number = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    std::string_view line = text.substr(start, end - start);
    while (line.ends_with('\r') || line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
    ++number;
    const auto begins = label_of(line, kBegin);
    const auto ends = label_of(line, kEnd);
    if (begins) {
      if (open) return damaged("a block begins within another one", number);
      open = Block{*begins, {}, number};
      block_start = start;
    } else if (ends) {
      if (!open || open->label != *ends) return damaged("an END line has no BEGIN line of the same name", number);
      open->text = text.substr(block_start, std::min(end + 1, text.size()) - block_start);
      out.push_back(*std::exchange(open, std::nullopt));
    } else if (open ? line.find('-') != std::string_view::npos : looks_like_pem(line)) {
      return damaged("a line looks like a part of a damaged PEM block", number);
    }
    start = end + 1;
  }
  if (open) return damaged("a block does not end", open->line);
  return out;
}

// decode: d2i of the thing. What follows it within its block would be passed over.
template <class Pointer, class Decode>
core::Result<std::vector<Pointer>> all_of(std::string_view text, std::initializer_list<std::string_view> labels,
                                          std::string_view what, Decode decode) {
  const ErrorQueueGuard guard;
  IMPRINT_TRY(const auto blocks, blocks_of(text));
  if (blocks.empty()) return fail("trust.store-unreadable", "it holds no " + std::string(what) + " in PEM form");
  std::vector<Pointer> out;
  for (const Block& block : blocks) {
    if (std::ranges::find(labels, block.label) == labels.end()) {
      return damaged("it holds something else than a " + std::string(what) + ": " + core::printable(block.label),
                     block.line);
    }
    const BioPtr in(BIO_new_mem_buf(block.text.data(), static_cast<int>(block.text.size())));
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    if (!in || PEM_read_bio(in.get(), &name, &header, &data, &size) != 1) {
      return damaged("a damaged " + std::string(what) + ": " + openssl_reason(), block.line);
    }
    const TextPtr name_owner(name);
    const TextPtr header_owner(header);
    const EncodedPtr data_owner(data);
    const unsigned char* at = data;
    Pointer next(decode(&at, size));
    if (!next || at != data + size || *header != '\0') {
      return damaged("a damaged " + std::string(what) + ", or something behind it in its block", block.line);
    }
    out.push_back(std::move(next));
  }
  return out;
}

}  // namespace

core::Result<std::vector<X509Ptr>> read_root_pem(std::string_view text) {
  return all_of<X509Ptr>(text, {PEM_STRING_X509, PEM_STRING_X509_OLD}, "certificate",
                         [](const unsigned char** at, long size) { return d2i_X509(nullptr, at, size); });
}

core::Result<std::vector<CrlPtr>> read_revocation_pem(std::string_view text) {
  return all_of<CrlPtr>(text, {PEM_STRING_X509_CRL}, "revocation list",
                        [](const unsigned char** at, long size) { return d2i_X509_CRL(nullptr, at, size); });
}

}  // namespace imprint::trust
