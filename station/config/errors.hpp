// SPDX-License-Identifier: GPL-3.0-or-later
// What can be wrong with a station's configuration. The detail of each says what to write instead.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::station::config {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"config.toml-malformed", "The file is not well-formed TOML",
     "Mend the place that is named; https://toml.io has the form.", core::FaultClass::operator_},
    {"config.key-unknown", "The file has a key that means nothing here",
     "Mend its spelling, or take the line away; docs/engineer.md lists the keys.", core::FaultClass::operator_},
    {"config.key-missing", "The file lacks a key that it needs", "Add the key.", core::FaultClass::operator_},
    {"config.value-invalid", "A value cannot be used", "Write a value of the kind that is named.",
     core::FaultClass::operator_},
    {"config.conflict", "Two settings contradict each other", "Change one of the two that are named.",
     core::FaultClass::operator_},
    {"config.product-twice", "Two files are of the same product", "Give one of them another name, or take it away.",
     core::FaultClass::operator_},
    {"config.file-unusable", "A file or folder that the configuration names cannot be used",
     "Mend the path in the configuration, or the file that it names.", core::FaultClass::operator_},
    {"config.image-missing", "The image that the product asks for is not in the store, or was withdrawn",
     "Admit it with imprint station images admit, or name another digest.", core::FaultClass::operator_},
    {"config.faulty", "The configuration has faults", "Run imprint station check, and mend what it lists.",
     core::FaultClass::operator_},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::station::config
