// SPDX-License-Identifier: GPL-3.0-or-later
// Stands for the program of a job that takes long.
#include <unistd.h>

#include <fstream>
#include <string>

int main() {
  std::ofstream("process") << ::getpid() << std::endl;
  for (;;) ::pause();
}
