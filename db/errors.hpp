// SPDX-License-Identifier: GPL-3.0-or-later
// Failures of the station's records: the file, its lock, its schema, and calls that an attempt's life does not allow.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::db {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"records.open-failed", "The records could not be opened", "Check that the path names the station's records file.",
     core::FaultClass::station},
    {"records.write-failed", "The records could not be written",
     "Check the disk and the system log; the attempt is not recorded, so do not ship this device.",
     core::FaultClass::station},
    {"records.read-failed", "The records could not be read", "Check the disk and the system log for errors.",
     core::FaultClass::station},
    {"records.locked", "Another program is using the records",
     "Use the station that is already running, or stop it before you start another.", core::FaultClass::station},
    {"records.damaged", "The records file is damaged",
     "Keep the file as it is, restore the last backup and tell the engineer.", core::FaultClass::station},
    {"records.newer-schema", "The records were written by a newer version of Imprint",
     "Install that version or a later one; this one would not understand what it reads.", core::FaultClass::station},
    {"records.older-schema", "The records were written by an older version of Imprint and are open for reading only",
     "Start the station once with this version, which brings the records up to date.", core::FaultClass::station},
    {"records.attempt-closed", "The attempt is closed already", "Start a new attempt for this device.",
     core::FaultClass::station},
    {"records.attempt-unknown", "There is no such attempt in the records", "Check the attempt's number.",
     core::FaultClass::station},
    {"records.already-identified", "The attempt has its unit already", "Start a new attempt for another device.",
     core::FaultClass::station},
    {"records.serial-unusable", "The serial is empty, too long, or holds characters that cannot be recorded",
     "Scan the label again, and mend the serial rule if the label is right.", core::FaultClass::operator_},
    {"records.pass-unproven", "A pass was reported without its proof or without its unit",
     "Do not ship this device; flash it again and tell the engineer.", core::FaultClass::station},
    {"records.interrupted", "The station stopped while this attempt was running",
     "Flash the device again; nothing is known about its contents.", core::FaultClass::station},
    {"records.unknown", "The records hold nothing of this number or name", "Check the number or name and try again.",
     core::FaultClass::operator_},
    {"records.exists", "The records hold this already", "Use the one that is there, or choose another number or name.",
     core::FaultClass::operator_},
    {"records.value-unusable", "A value that the records need is empty or cannot be recorded",
     "Fill in what is named and try again.", core::FaultClass::operator_},
    {"records.order-closed", "The work order is closed already", "Load another work order, or create a new one.",
     core::FaultClass::operator_},
    {"records.person-disabled", "This person may not sign in any more", "Ask the engineer to enable the person again.",
     core::FaultClass::operator_},
    {"records.erase-pending", "The name is erased, but the log beside the records may still hold it",
     "Stop the reports that are open on these records, then erase again or start the station anew.",
     core::FaultClass::station},
    {"records.range-unusable", "The range of serials is empty, backwards, or overlaps another one",
     "Choose numbers that no other range of the product has.", core::FaultClass::operator_},
    {"records.range-exhausted", "No serial is left for this product", "Add a range of serials for the product.",
     core::FaultClass::operator_},
    {"records.outbox-order", "An event was reported as delivered out of its order",
     "Deliver the oldest event first; see the interface that reads the outbox.", core::FaultClass::station},
    {"records.head-malformed", "This is not an exported head of the chain",
     "Give the file or the line as the station exported it.", core::FaultClass::operator_},
    {"records.chain-broken", "The records were changed outside of the station",
     "Keep the file as it is, compare it with the last backup and tell the manager; do not go on working with it.",
     core::FaultClass::station},
    {"records.backup-failed", "The backup could not be made, or is not whole",
     "Check the disk that it lies on, then make another one; the records themselves are untouched.",
     core::FaultClass::station},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::db
