# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(catalog SOURCES catalog_fuzz.cpp USES imprint::flash_trust imprint::flash_core OpenSSL::Crypto)
imprint_fuzz(pkcs11_uri SOURCES pkcs11_uri_fuzz.cpp USES imprint::flash_trust imprint::flash_core)
imprint_fuzz(timestamp SOURCES timestamp_fuzz.cpp USES imprint::flash_trust imprint::flash_core OpenSSL::Crypto)
