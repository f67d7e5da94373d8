// SPDX-License-Identifier: GPL-3.0-or-later
// The hash chain over the records: each row of each covered table is entered in the transaction that adds it, and
// proved again from the rows. docs/records.md has the encoding, so that another program can do the same.
#pragma once

#include <functional>

#include "db/chain_head.hpp"

namespace imprint::db {

enum class ChainFault {
  row_changed,    // its columns do not give the digest of its entry
  row_missing,    // it was entered and is not there, and no retention took it
  row_added,      // it is there and was never entered
  entry_changed,  // the entry does not follow from the one before it: changed, reordered or inserted
  entry_missing,  // a number is left out in the chain
  cut_off,        // the chain ends before the exported head
  head_differs,   // the chain has another head where the exported one stands: it was written anew
};
[[nodiscard]] std::string_view to_string(ChainFault fault);  // "row-changed" ...

struct ChainBreak {
  ChainFault fault = ChainFault::row_changed;
  std::int64_t seq = 0;  // of the entry; 0 where there is none
  std::string table{};   // "chain" where the entry itself is wrong
  std::int64_t row = 0;  // 0 where no single row can be named: rows from before the chain
};

struct ChainReport {
  std::int64_t entries = 0;
  std::string head;                      // of the last entry
  std::uint64_t rows = 0;                // proved against their own entries
  std::uint64_t before_chain = 0;        // proved together, from before there was a chain
  std::uint64_t retired = 0;             // taken by retention; their digests still stand in the chain
  std::optional<std::int64_t> exported;  // the exported head's entry, where one was given and agreed
  std::optional<ChainBreak> broken;      // the first thing that is wrong
};

// What a station's key says about the bytes.
using Signer = std::function<core::Result<std::string>(std::string_view)>;

struct ExportedHead {
  ChainHead head;
  std::string text;       // to_text(head)
  std::string signature;  // empty without a signer
};

// Thread-safe, as Records is.
class Chain {
 public:
  explicit Chain(const Records& records) : records_(records) {}

  [[nodiscard]] core::Result<ChainHead> head(const std::string& station) const;
  // The head as it is, signed outside of any transaction. `records.value-unusable` for a station's name that the text
  // cannot hold.
  [[nodiscard]] core::Result<ExportedHead> signed_head(const std::string& station, const Signer& sign) const;
  // Records one with its signature and purpose ("shift report").
  [[nodiscard]] core::Status record(const ExportedHead& exported, const std::string& purpose, const Actor& by) const;
  // Both.
  [[nodiscard]] core::Result<ExportedHead> export_head(const std::string& station, const std::string& purpose,
                                                       const Signer& sign, const Actor& by) const;
  // Oldest first.
  [[nodiscard]] core::Result<std::vector<ExportedHead>> exported() const;

  // Reads every row once. It holds the connection for as long as it takes, so a station that works gives it Records of
  // its own, opened read-only. `progress` is called now and then with entries done; false stops with `job.cancelled`.
  // A head that was recorded in this file proves nothing against whoever wrote the file anew: give one from outside.
  [[nodiscard]] core::Result<ChainReport> verify(const std::optional<ChainHead>& exported = {},
                                                 const std::function<bool(std::int64_t)>& progress = {}) const;

 private:
  const Records& records_;
};

// `records.chain-broken` with table, row, entry and what, or nothing wrong.
[[nodiscard]] core::Status proved(const ChainReport& report);

}  // namespace imprint::db
