# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(product_file SOURCES product_file_fuzz.cpp USES imprint::station_config)
imprint_fuzz(station_file SOURCES station_file_fuzz.cpp USES imprint::station_config)
imprint_fuzz(serial_text SOURCES serial_text_fuzz.cpp USES imprint::station_admission)
imprint_fuzz(stored_pin SOURCES stored_pin_fuzz.cpp USES imprint::station_people)
imprint_fuzz(image_record SOURCES image_record_fuzz.cpp USES imprint::station_images)
imprint_fuzz(rpc SOURCES rpc_fuzz.cpp USES imprint::station_api)
imprint_fuzz(progress SOURCES progress_fuzz.cpp USES imprint::station_jobs)
