// SPDX-License-Identifier: GPL-3.0-or-later
// The words of a product file. Private to this folder.
#pragma once

#include "station/config/product_file.hpp"
#include "station/config/table_reader.hpp"
#include "station/config/words.hpp"

namespace imprint::station::config {

inline constexpr Words<Protocol, 4> kProtocols{{{
    {Protocol::simple_io, "simple-io"},
    {Protocol::ufp, "ufp"},
    {Protocol::mass_storage, "mass-storage"},
    {Protocol::disk, "disk"},
}}};
inline constexpr Words<ReadBack, 3> kReadBacks{{{
    {ReadBack::required, "required"},
    {ReadBack::where_possible, "where-possible"},
    {ReadBack::off, "off"},
}}};
inline constexpr Words<WriteMode, 2> kWriteModes{{{
    {WriteMode::everything, "everything"},
    {WriteMode::differing, "differing"},
}}};
inline constexpr Words<Erasure, 4> kErasures{{{
    {Erasure::none, "none"},
    {Erasure::discard, "discard"},
    {Erasure::secure_discard, "secure-discard"},
    {Erasure::zero, "zero"},
}}};
inline constexpr Words<Erasure, 2> kReworkErasures{{{
    {Erasure::zero, "zero"},
    {Erasure::secure_discard, "secure-discard"},
}}};
inline constexpr Words<AfterPass, 4> kAfterPasses{{{
    {AfterPass::nothing, "nothing"},
    {AfterPass::reboot, "reboot"},
    {AfterPass::power_off, "power-off"},
    {AfterPass::mass_storage, "mass-storage"},
}}};
inline constexpr Words<Recovery, 2> kRecoveries{{{
    {Recovery::iot_mmos, "iot-mmos"},
    {Recovery::winre, "winre"},
}}};
inline constexpr Words<trust::Policy, 3> kPolicies{{{
    {trust::Policy::retail, "retail"},
    {trust::Policy::test, "test"},
    {trust::Policy::none, "none"},
}}};
inline constexpr Words<admission::SerialSource, 4> kSerialSources{{{
    {admission::SerialSource::scanned, "scanned"},
    {admission::SerialSource::typed, "typed"},
    {admission::SerialSource::device, "device"},
    {admission::SerialSource::allocated, "allocated"},
}}};
inline constexpr Words<admission::LabelCheck, 3> kLabelChecks{{{
    {admission::LabelCheck::not_compared, "not-compared"},
    {admission::LabelCheck::equals_device_serial, "equals-device-serial"},
    {admission::LabelCheck::fits_platform, "fits-platform"},
}}};
inline constexpr Words<admission::CheckDigit, 4> kCheckDigits{{{
    {admission::CheckDigit::none, "none"},
    {admission::CheckDigit::luhn, "luhn"},
    {admission::CheckDigit::luhn_mod36, "luhn-mod-36"},
    {admission::CheckDigit::iso7064_mod37_36, "iso7064-mod-37-36"},
}}};

// Takes one of the words.
template <class T, std::size_t N>
bool take_word(TableReader& reader, std::string_view key, const Words<T, N>& words, T& out) {
  return reader.word(key, words.all(), [&words](std::string_view text) { return words.parse(text); }, out);
}

}  // namespace imprint::station::config
