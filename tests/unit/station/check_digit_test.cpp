// SPDX-License-Identifier: GPL-3.0-or-later
// Check digits, against examples that others have published.
#include "station/admission/check_digit.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace imprint::station::admission;

TEST_CASE("Luhn gives the digit of ISO 7812's own example") {
  CHECK(check_digit_for(CheckDigit::luhn, "7992739871") == '3');
  CHECK(has_right_check_digit(CheckDigit::luhn, "79927398713"));
  CHECK_FALSE(has_right_check_digit(CheckDigit::luhn, "79927398710"));
}

TEST_CASE("Luhn passes over what is not a digit") {
  CHECK(has_right_check_digit(CheckDigit::luhn, "SN-7992-7398-713"));
  CHECK_FALSE(has_right_check_digit(CheckDigit::luhn, "SN"));
  CHECK_FALSE(has_right_check_digit(CheckDigit::luhn, "7992739871X"));
}

TEST_CASE("Luhn of base 36 is Luhn where there are more characters") {
  // Worked by hand: Z = 35, doubled 70 = 1 * 36 + 34, together 35; what is missing to 36 is 1.
  CHECK(check_digit_for(CheckDigit::luhn_mod36, "Z") == '1');
  CHECK(check_digit_for(CheckDigit::luhn_mod36, "z") == '1');
  CHECK(has_right_check_digit(CheckDigit::luhn_mod36, "Z-1"));
  CHECK_FALSE(has_right_check_digit(CheckDigit::luhn_mod36, "Z2"));
}

TEST_CASE("ISO 7064 MOD 37,36 gives the character of the standard's example") {
  CHECK(check_digit_for(CheckDigit::iso7064_mod37_36, "A12425GABC1234002") == 'M');
  CHECK(has_right_check_digit(CheckDigit::iso7064_mod37_36, "A1-2425G-ABC1234002-M"));
  CHECK_FALSE(has_right_check_digit(CheckDigit::iso7064_mod37_36, "A12425GABC1234002N"));
}

TEST_CASE("every kind finds every single wrong character") {
  const std::string alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (const CheckDigit kind : {CheckDigit::luhn, CheckDigit::luhn_mod36, CheckDigit::iso7064_mod37_36}) {
    const std::string known = kind == CheckDigit::luhn ? alphabet.substr(0, 10) : alphabet;
    std::string serial = "4830517269";
    const auto check = check_digit_for(kind, serial);
    REQUIRE(check);
    serial += *check;
    for (std::size_t i = 0; i < serial.size(); ++i) {
      for (const char other : known) {
        std::string slip = serial;
        slip[i] = other;
        INFO(slip);
        CHECK(has_right_check_digit(kind, slip) == (slip == serial));
      }
    }
  }
}

TEST_CASE("without a check digit everything is right, and names are read back") {
  CHECK(has_right_check_digit(CheckDigit::none, ""));
  CHECK_FALSE(check_digit_for(CheckDigit::none, "1"));
  CHECK_FALSE(has_right_check_digit(CheckDigit::luhn, ""));
  for (const CheckDigit kind :
       {CheckDigit::none, CheckDigit::luhn, CheckDigit::luhn_mod36, CheckDigit::iso7064_mod37_36})
    CHECK(parse_check_digit(to_string(kind)) == kind);
  CHECK_FALSE(parse_check_digit("mod36"));
}
