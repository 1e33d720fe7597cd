#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

#include "engine/base/result.h"

namespace conclave::engine::client {

/// A program that was started to outlive us.
struct Launched {
    pid_t process = 0;
    std::string log;     ///< where its output goes
    off_t logStart = 0;  ///< where its own lines begin
};

/// Starts `program` without arguments in a session of its own: no terminal, no input, output appended to
/// `log`, none of our other descriptors. Errors: SystemCallFailed, FileWriteFailed.
base::Result<Launched> launchDetached(const std::string& program, const std::string& log);

/// Nothing while it runs; once it has ended, the last line that it wrote.
std::optional<std::string> lastWords(const Launched& launched);

}  // namespace conclave::engine::client
