#pragma once

#include <ctime>
#include <string>
#include <string_view>

namespace conclave::engine::text::jinja {

/// strftime of the C locale on every machine, with glibc's flags (- _ 0 ^). What is not a directive stays as
/// it is.
std::string formatTime(std::string_view format, const std::tm& time);

}  // namespace conclave::engine::text::jinja
