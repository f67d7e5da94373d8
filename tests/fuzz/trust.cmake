# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(catalog SOURCES catalog_fuzz.cpp USES imprint::flash_trust imprint::flash_core OpenSSL::Crypto)
imprint_fuzz(pkcs11_uri SOURCES pkcs11_uri_fuzz.cpp USES imprint::flash_trust imprint::flash_core)
imprint_fuzz(timestamp SOURCES timestamp_fuzz.cpp USES imprint::flash_trust imprint::flash_core OpenSSL::Crypto)

# make_trust_seeds FOLDER: what fuzz_catalog and fuzz_timestamp begin with, in FOLDER/catalog and FOLDER/timestamp.
add_executable(make_trust_seeds trust_seeds.cpp)
target_link_libraries(make_trust_seeds PRIVATE imprint_options imprint::flash_trust OpenSSL::Crypto)
set_target_properties(make_trust_seeds PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
