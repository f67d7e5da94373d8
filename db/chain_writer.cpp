// SPDX-License-Identifier: GPL-3.0-or-later
// The encoding of rows and heads, and the hook that sees every row that is added.
#include "db/chain_writer.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>

#include "flash/core/bytes.hpp"
#include "flash/core/text.hpp"

namespace imprint::db {
namespace {

// "name=i2:41;" for each column that is not NULL: a column that a later schema adds, empty in old rows, changes
// nothing.
void append_column(std::string& out, const SQLite::Column& column) {
  if (column.isNull()) return;
  const bool integer = column.isInteger();
  const bool blob = column.isBlob();
  // getBytes gives the length in UTF-8 only after the text was asked for.
  const char* bytes = blob ? static_cast<const char*>(column.getBlob()) : column.getText();
  const auto size = static_cast<std::size_t>(column.getBytes());
  out += column.getName();
  fmt::format_to(std::back_inserter(out), "={}{}:", integer ? 'i' : blob ? 'b' : 't', size);
  out.append(bytes, size);
  out += ';';
}

}  // namespace

std::optional<core::Sha256> RowDigests::of(std::size_t table, std::int64_t row) {
  auto& statement = statements_.at(table);
  if (!statement) {
    statement = std::make_unique<SQLite::Statement>(
        database_, fmt::format("SELECT * FROM {} WHERE rowid = ?", kChainedTables.at(table)));
  }
  // reset() would say once more how its last run failed: that was another transaction's.
  static_cast<void>(statement->tryReset());
  statement->bind(1, row);
  if (!statement->executeStep()) return std::nullopt;
  encoded_.clear();
  for (int i = 0; i < statement->getColumnCount(); ++i) append_column(encoded_, statement->getColumn(i));
  statement->reset();
  return core::sha256(core::as_bytes(encoded_));
}

std::optional<std::size_t> chained_table(std::string_view name) {
  const auto found = std::ranges::find(kChainedTables, name);
  if (found == kChainedTables.end()) return std::nullopt;
  return static_cast<std::size_t>(found - kChainedTables.begin());
}

core::Sha256 next_head(const core::Sha256& previous, std::int64_t seq, std::string_view table, std::int64_t row,
                       const core::Sha256& row_digest) {
  std::string text(core::as_text(previous));
  fmt::format_to(std::back_inserter(text), "{}\n{}\n{}\n", seq, table, row);
  text += core::as_text(row_digest);
  return core::sha256(core::as_bytes(text));
}

core::Sha256 digest_at(const SQLite::Column& column) {
  core::Sha256 out{};
  if (!column.isBlob()) return out;
  const auto* bytes = static_cast<const std::uint8_t*>(column.getBlob());
  if (column.getBytes() == static_cast<int>(out.size())) std::copy_n(bytes, out.size(), out.begin());
  return out;
}

ChainWriter::ChainWriter(SQLite::Database& database) : database_(database), digests_(database) {
  sqlite3_update_hook(database_.getHandle(), &ChainWriter::on_update, this);
}

ChainWriter::~ChainWriter() { sqlite3_update_hook(database_.getHandle(), nullptr, nullptr); }

void ChainWriter::on_update(void* self, int operation, const char* /*database*/, const char* table, long long row) {
  if (operation != SQLITE_INSERT) return;
  if (const auto index = chained_table(table)) static_cast<ChainWriter*>(self)->added_.emplace_back(*index, row);
}

void ChainWriter::enter() {
  if (added_.empty()) return;
  if (!last_) {
    last_ = std::make_unique<SQLite::Statement>(database_, "SELECT seq, head FROM chain ORDER BY seq DESC LIMIT 1");
    insert_ = std::make_unique<SQLite::Statement>(
        database_, "INSERT INTO chain (seq, table_name, row_id, row_digest, head) VALUES (?, ?, ?, ?, ?)");
  }
  std::int64_t seq = 0;
  core::Sha256 head = kFirstHead;
  static_cast<void>(last_->tryReset());
  if (last_->executeStep()) {
    seq = last_->getColumn(0).getInt64();
    head = digest_at(last_->getColumn(1));
  }
  last_->reset();
  for (const auto& [table, row] : added_) {
    const auto digest = digests_.of(table, row);
    if (!digest) continue;  // added and taken away again within the transaction
    const std::string name(kChainedTables.at(table));
    head = next_head(head, ++seq, name, row, *digest);
    static_cast<void>(insert_->tryReset());
    insert_->bind(1, seq);
    insert_->bindNoCopy(2, name);
    insert_->bind(3, row);
    insert_->bindNoCopy(4, digest->data(), static_cast<int>(digest->size()));
    insert_->bindNoCopy(5, head.data(), static_cast<int>(head.size()));
    insert_->exec();
    insert_->reset();
  }
  added_.clear();
}

void GenesisDigest::add(std::int64_t row, const core::Sha256& digest) {
  stream_.update(core::as_bytes(fmt::format("{}\n", row)));
  stream_.update(digest);
  ++rows_;
}

std::string GenesisDigest::finish() { return core::to_hex(stream_.finish()); }

void enter_genesis(SQLite::Database& database, const std::string& now) {
  RowDigests digests(database);
  for (std::size_t table = 0; table < kTablesBeforeChain.size(); ++table) {
    const std::string name(kTablesBeforeChain[table]);
    SQLite::Statement rows(database, fmt::format("SELECT rowid FROM {} ORDER BY rowid", name));
    GenesisDigest digest;
    std::int64_t last = 0;
    while (rows.executeStep()) {
      last = rows.getColumn(0).getInt64();
      if (const auto row = digests.of(table, last)) digest.add(last, *row);
    }
    if (digest.rows() == 0) continue;
    SQLite::Statement insert(
        database,
        "INSERT INTO chain_genesis (table_name, row_count, last_row_id, digest, created_at) VALUES (?, ?, ?, ?, ?)");
    insert.bind(1, name);
    insert.bind(2, digest.rows());
    insert.bind(3, last);
    insert.bind(4, digest.finish());
    insert.bind(5, now);
    insert.exec();
  }
}

}  // namespace imprint::db
