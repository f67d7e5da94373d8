// SPDX-License-Identifier: GPL-3.0-or-later
// Proving the chain from the rows, and exporting its head.
#include "db/chain.hpp"

#include <fmt/format.h>

#include "db/chain_writer.hpp"
#include "db/connection.hpp"
#include "flash/core/text.hpp"

namespace imprint::db {
namespace {

constexpr std::int64_t kProgressEvery = 4096;

// One walk over the chain and the tables. Ends at the first thing that is wrong.
class Verification {
 public:
  Verification(SQLite::Database& database, const std::optional<ChainHead>& exported,
               const std::function<bool(std::int64_t)>& progress)
      : database_(database), exported_(exported), progress_(progress), digests_(database) {}

  core::Result<ChainReport> run() {
    IMPRINT_CHECK(entries());
    if (!report_.broken) cut_off();
    for (std::size_t table = 0; table < kChainedTables.size() && !report_.broken; ++table) rows_beside(table);
    return std::move(report_);
  }

 private:
  void broken(ChainFault fault, std::int64_t seq, std::string_view table, std::int64_t row) {
    report_.broken = ChainBreak{fault, seq, std::string(table), row};
  }

  core::Status entries() {
    SQLite::Statement chain(database_, "SELECT seq, table_name, row_id, row_digest, head FROM chain ORDER BY seq");
    core::Sha256 head = kFirstHead;
    if (exported_ && exported_->seq == 0) agree(0, head);
    while (!report_.broken && chain.executeStep()) {
      const std::int64_t seq = chain.getColumn(0).getInt64();
      if (seq != report_.entries + 1) {
        broken(ChainFault::entry_missing, report_.entries + 1, "chain", report_.entries + 1);
        return {};
      }
      const std::string name = chain.getColumn(1).getString();
      const std::int64_t row = chain.getColumn(2).getInt64();
      const core::Sha256 digest = digest_at(chain.getColumn(3));
      head = next_head(head, seq, name, row, digest);
      if (head != digest_at(chain.getColumn(4))) {
        broken(ChainFault::entry_changed, seq, "chain", seq);
        return {};
      }
      check_row(seq, name, row, digest);
      report_.entries = seq;
      if (exported_ && exported_->seq == seq) agree(seq, head);
      if (progress_ && seq % kProgressEvery == 0 && !progress_(seq)) return core::fail("job.cancelled");
    }
    report_.head = core::to_hex(head);
    return {};
  }

  void agree(std::int64_t seq, const core::Sha256& head) {
    if (core::to_hex(head) == exported_->head) {
      report_.exported = seq;
    } else if (!report_.broken) {
      broken(ChainFault::head_differs, seq, "chain", seq);
    }
  }

  void check_row(std::int64_t seq, const std::string& name, std::int64_t row, const core::Sha256& digest) {
    const auto table = chained_table(name);
    if (!table) return broken(ChainFault::entry_changed, seq, "chain", seq);
    const auto now = digests_.of(*table, row);
    if (now && *now == digest) {
      ++report_.rows;
    } else if (now) {
      broken(ChainFault::row_changed, seq, name, row);
    } else if (is_retired(name, row)) {
      ++report_.retired;
    } else {
      broken(ChainFault::row_missing, seq, name, row);
    }
  }

  bool is_retired(const std::string& table, std::int64_t row) {
    retired_.reset();
    retired_.bind(1, table);
    retired_.bind(2, row);
    retired_.bind(3, row);
    return retired_.executeStep();
  }

  void cut_off() {
    if (!exported_ || exported_->seq <= report_.entries) return;
    broken(ChainFault::cut_off, report_.entries + 1, "chain", report_.entries + 1);
  }

  // Rows without an entry of their own: from before the chain, and then proved together, or added beside it.
  void rows_beside(std::size_t table) {
    const std::string name(kChainedTables.at(table));
    SQLite::Statement genesis(database_,
                              "SELECT row_count, last_row_id, digest FROM chain_genesis WHERE table_name = ?");
    genesis.bind(1, name);
    const bool has_genesis = genesis.executeStep();
    const std::int64_t last = has_genesis ? genesis.getColumn(1).getInt64() : 0;
    // Both in the order of row numbers: what is there, and the digests of what retention took.
    SQLite::Statement there(database_,
                            fmt::format("SELECT t.rowid FROM {0} t WHERE NOT EXISTS (SELECT 1 FROM chain c "
                                        "WHERE c.table_name = '{0}' AND c.row_id = t.rowid) ORDER BY t.rowid",
                                        name));
    SQLite::Statement gone(database_,
                           "SELECT row_id, digest FROM genesis_digests WHERE table_name = ? ORDER BY row_id");
    gone.bind(1, name);
    GenesisDigest digest;
    std::uint64_t taken = 0;
    bool more_gone = gone.executeStep();
    const auto take_gone_before = [&](std::int64_t row) {
      while (more_gone && gone.getColumn(0).getInt64() < row) {
        digest.add(gone.getColumn(0).getInt64(), digest_at(gone.getColumn(1)));
        ++taken;
        more_gone = gone.executeStep();
      }
    };
    while (there.executeStep()) {
      const std::int64_t row = there.getColumn(0).getInt64();
      if (row > last) return broken(ChainFault::row_added, 0, name, row);
      take_gone_before(row);
      if (const auto now = digests_.of(table, row)) digest.add(row, *now);
    }
    take_gone_before(std::numeric_limits<std::int64_t>::max());
    if (!has_genesis) {
      if (digest.rows() != 0) broken(ChainFault::row_added, 0, name, 0);
      return;
    }
    const std::int64_t due = genesis.getColumn(0).getInt64();
    if (digest.rows() != due) {
      return broken(digest.rows() < due ? ChainFault::row_missing : ChainFault::row_added, 0, name, 0);
    }
    report_.retired += taken;
    report_.before_chain += static_cast<std::uint64_t>(due) - taken;
    if (digest.finish() != genesis.getColumn(2).getString()) broken(ChainFault::row_changed, 0, name, 0);
  }

  SQLite::Database& database_;
  const std::optional<ChainHead>& exported_;
  const std::function<bool(std::int64_t)>& progress_;
  RowDigests digests_;
  ChainReport report_;
  SQLite::Statement retired_{
      database_, "SELECT 1 FROM retired_ranges WHERE table_name = ? AND last_row >= ? AND first_row <= ? LIMIT 1"};
};

core::Result<ChainHead> head_of(SQLite::Database& database, const std::string& station, core::UtcTime at) {
  ChainHead head;
  head.station = station;
  head.head = core::to_hex(kFirstHead);
  head.at = at;
  SQLite::Statement last(database, "SELECT seq, head FROM chain ORDER BY seq DESC LIMIT 1");
  if (last.executeStep()) {
    head.seq = last.getColumn(0).getInt64();
    head.head = core::to_hex(digest_at(last.getColumn(1)));
  }
  // The highest numbers count what was ever there, whatever retention took since.
  Query counts(database,
               "SELECT (SELECT COALESCE(MAX(id), 0) FROM attempt_openings), (SELECT COALESCE(MAX(id), 0) FROM units), "
               "(SELECT COALESCE(MAX(id), 0) FROM audit)");
  static_cast<void>(counts.next());
  head.attempts = counts.count_at(0);
  head.units = counts.count_at(1);
  head.audit = counts.count_at(2);
  if (!parse_chain_head(to_text(head))) {
    return fail("records.value-unusable", "a station's name has 1 to 64 of A-Z a-z 0-9 . _ -")
        .with("station", core::printable(station));
  }
  return head;
}

}  // namespace

std::string_view to_string(ChainFault fault) {
  switch (fault) {
    case ChainFault::row_changed:
      return "row-changed";
    case ChainFault::row_missing:
      return "row-missing";
    case ChainFault::row_added:
      return "row-added";
    case ChainFault::entry_changed:
      return "entry-changed";
    case ChainFault::entry_missing:
      return "entry-missing";
    case ChainFault::cut_off:
      return "cut-off";
    case ChainFault::head_differs:
      return "head-differs";
  }
  return "row-changed";
}

core::Result<ChainHead> Chain::head(const std::string& station) const {
  Records::Connection& connection = records_.connection();
  const core::SystemClock system;
  const core::UtcTime at = connection.clock == nullptr ? system.now() : connection.clock->now();
  return connection.read<ChainHead>(
      [&](SQLite::Database& database) -> core::Result<ChainHead> { return head_of(database, station, at); });
}

core::Result<ExportedHead> Chain::signed_head(const std::string& station, const Signer& sign) const {
  ExportedHead out;
  IMPRINT_TRY(out.head, head(station));
  out.text = to_text(out.head);
  if (sign) {
    IMPRINT_TRY(out.signature, sign(out.text));
  }
  return out;
}

core::Status Chain::record(const ExportedHead& exported, const std::string& purpose, const Actor& by) const {
  return records_.connection().write<void>([&](SQLite::Database& database) -> core::Status {
    Query(database,
          "INSERT INTO exported_heads (head_text, signature, purpose, exported_at, operator_id, session_id) "
          "VALUES (?, ?, ?, ?, ?, ?)")
        .text(exported.text)
        .text(exported.signature)
        .text(purpose)
        .time(exported.head.at)
        .number_or_null(by.operator_id)
        .number_or_null(by.session)
        .run();
    return {};
  });
}

core::Result<ExportedHead> Chain::export_head(const std::string& station, const std::string& purpose,
                                              const Signer& sign, const Actor& by) const {
  IMPRINT_TRY(auto out, signed_head(station, sign));
  IMPRINT_CHECK(record(out, purpose, by));
  return out;
}

core::Result<std::vector<ExportedHead>> Chain::exported() const {
  using Rows = std::vector<ExportedHead>;
  return records_.connection().read<Rows>([&](SQLite::Database& database) -> core::Result<Rows> {
    Query query(database, "SELECT head_text, signature FROM exported_heads ORDER BY id");
    Rows rows;
    while (query.next()) {
      ExportedHead row;
      row.text = query.text_at(0);
      row.signature = query.text_at(1);
      IMPRINT_TRY(row.head, parse_chain_head(row.text));
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

core::Result<ChainReport> Chain::verify(const std::optional<ChainHead>& exported,
                                        const std::function<bool(std::int64_t)>& progress) const {
  return records_.connection().read<ChainReport>([&](SQLite::Database& database) -> core::Result<ChainReport> {
    return Verification(database, exported, progress).run();
  });
}

core::Status proved(const ChainReport& report) {
  if (!report.broken) return {};
  const ChainBreak& first = *report.broken;
  auto failure = fail("records.chain-broken").with("what", to_string(first.fault)).with("table", first.table);
  if (first.row != 0) failure = std::move(failure).with("row", first.row);
  if (first.seq != 0) failure = std::move(failure).with("entry", first.seq);
  return failure;
}

}  // namespace imprint::db
