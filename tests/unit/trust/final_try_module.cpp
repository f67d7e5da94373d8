// SPDX-License-Identifier: GPL-3.0-or-later
// SoftHSM counts no wrong PINs. This module is SoftHSM with marks that it never sets, in hexadecimal digits in
// IMPRINT_TEST_TOKEN_FLAGS, and without a login: whoever tries one gets a failure. Layouts: PKCS#11 2.40, sections 3.4
// and 3.6.
#include <dlfcn.h>

#include <array>
#include <cstdlib>

namespace {

using AnyFunction = void (*)();
using Result = unsigned long;

struct FunctionList {
  std::array<unsigned char, 2> version;
  std::array<AnyFunction, 68> functions;
};
constexpr std::size_t kGetTokenInfo = 6;
constexpr std::size_t kLogin = 18;

struct TokenInfo {
  std::array<char, 96> names;
  unsigned long flags;
};

constexpr Result kOk = 0;
constexpr Result kGeneralError = 5;
constexpr Result kFunctionFailed = 6;

FunctionList changed;
FunctionList* real = nullptr;

Result get_token_info(unsigned long slot, TokenInfo* info) {
  const auto ask = reinterpret_cast<Result (*)(unsigned long, TokenInfo*)>(real->functions[kGetTokenInfo]);
  const Result result = ask(slot, info);
  const char* flags = std::getenv("IMPRINT_TEST_TOKEN_FLAGS");
  if (result == kOk && flags != nullptr) info->flags |= std::strtoul(flags, nullptr, 16);
  return result;
}

Result log_in(unsigned long /*session*/, unsigned long /*user*/, unsigned char* /*pin*/, unsigned long /*size*/) {
  return kFunctionFailed;
}

}  // namespace

extern "C" Result C_GetFunctionList(FunctionList** list) {
  void* library = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return kGeneralError;
  const auto get = reinterpret_cast<Result (*)(FunctionList**)>(dlsym(library, "C_GetFunctionList"));
  if (get == nullptr || get(&real) != kOk) return kGeneralError;
  changed = *real;
  changed.functions[kGetTokenInfo] = reinterpret_cast<AnyFunction>(get_token_info);
  changed.functions[kLogin] = reinterpret_cast<AnyFunction>(log_in);
  *list = &changed;
  return kOk;
}
