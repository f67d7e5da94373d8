# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(gpt_refit SOURCES gpt_refit_fuzz.cpp USES imprint::flash_engine)
