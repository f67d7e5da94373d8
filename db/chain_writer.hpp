// SPDX-License-Identifier: GPL-3.0-or-later
// Enters each row that a transaction adds to a covered table in the chain, before it commits: no call can forget to.
// Private to this folder.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "db/chained_tables.hpp"
#include "flash/core/digest.hpp"

namespace imprint::db {

inline constexpr core::Sha256 kFirstHead{};  // what stands before the first entry

// Digest of a row's columns; docs/records.md, The chain.
class RowDigests {
 public:
  explicit RowDigests(SQLite::Database& database) : database_(database) {}
  // Nothing when there is no such row. `table` is an index into kChainedTables. Throws SQLite::Exception.
  [[nodiscard]] std::optional<core::Sha256> of(std::size_t table, std::int64_t row);

 private:
  SQLite::Database& database_;
  std::array<std::unique_ptr<SQLite::Statement>, kChainedTables.size()> statements_;
  std::string encoded_;
};

// The index of a covered table; nothing for another one.
[[nodiscard]] std::optional<std::size_t> chained_table(std::string_view name);

// The head that an entry makes of the one before it.
[[nodiscard]] core::Sha256 next_head(const core::Sha256& previous, std::int64_t seq, std::string_view table,
                                     std::int64_t row, const core::Sha256& row_digest);

// Bytes of a BLOB column of 32; anything else is all zeros.
[[nodiscard]] core::Sha256 digest_at(const SQLite::Column& column);

// One for each connection that writes; must go before the database is closed. Not thread-safe.
class ChainWriter {
 public:
  explicit ChainWriter(SQLite::Database& database);
  ~ChainWriter();
  ChainWriter(const ChainWriter&) = delete;
  ChainWriter& operator=(const ChainWriter&) = delete;

  void forget() { added_.clear(); }
  // What was added after the first `count` was taken back: their numbers may be given again.
  void forget_after(std::size_t count) { added_.resize(std::min(count, added_.size())); }
  [[nodiscard]] std::size_t added() const { return added_.size(); }
  // Enters what was added since, in the order in which it was. Throws SQLite::Exception.
  void enter();

 private:
  static void on_update(void* self, int operation, const char* database, const char* table, long long row);

  SQLite::Database& database_;
  RowDigests digests_;
  std::vector<std::pair<std::size_t, std::int64_t>> added_;
  std::unique_ptr<SQLite::Statement> last_;
  std::unique_ptr<SQLite::Statement> insert_;
};

// Right after the migration that makes the chain: all rows from before, table by table.
void enter_genesis(SQLite::Database& database, const std::string& now);

// Over rows in the order of their numbers: what stands for them in the genesis.
class GenesisDigest {
 public:
  void add(std::int64_t row, const core::Sha256& digest);
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::string finish();  // hexadecimal

 private:
  core::Sha256Stream stream_;
  std::int64_t rows_ = 0;
};

}  // namespace imprint::db
