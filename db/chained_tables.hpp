// SPDX-License-Identifier: GPL-3.0-or-later
// Which tables the chain covers: everything but the chain itself, digests that prove themselves, and what stands
// outside so that a person can be erased. Private to this folder.
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace imprint::db {

// The first eight are those of schema 1, whose rows from before the chain are entered together.
inline constexpr std::array<std::string_view, 37> kChainedTables = {
    "products",
    "images",
    "units",
    "attempt_openings",
    "attempt_identities",
    "attempt_closings",
    "steps",
    "findings",
    "chain_genesis",
    "operators",
    "operator_changes",
    "sessions",
    "session_closings",
    "work_orders",
    "work_order_changes",
    "slots",
    "armings",
    "disarmings",
    "audit",
    "corrections",
    "waivers",
    "quarantines",
    "quarantine_liftings",
    "image_admissions",
    "unit_identities",
    "serial_ranges",
    "serial_allocations",
    "scraps",
    "outbox",
    "outbox_deliveries",
    "retentions",
    "retired_ranges",
    "exported_heads",
    "work_order_closings",
    "waiver_revocations",
    "jobs",
    "job_ends",
};
inline constexpr std::span<const std::string_view> kTablesBeforeChain = std::span(kChainedTables).first(8);

// Those from which retention may take rows.
inline constexpr std::array<std::string_view, 10> kRetirableTables = {
    "units",    "unit_identities", "attempt_openings", "attempt_identities", "attempt_closings", "steps",
    "findings", "audit",           "outbox",           "outbox_deliveries",
};

}  // namespace imprint::db
