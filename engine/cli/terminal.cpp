#include "engine/cli/terminal.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/base/utf8.h"

namespace conclave::engine::cli {
namespace {

constexpr int64_t kRedrawMs = 100;
constexpr size_t kBarWidth = 28;

int64_t nowMs() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace

bool stdinIsTerminal() {
    return ::isatty(STDIN_FILENO) == 1;
}
bool stdoutIsTerminal() {
    return ::isatty(STDOUT_FILENO) == 1;
}
bool stderrIsTerminal() {
    return ::isatty(STDERR_FILENO) == 1;
}

ProgressBar::ProgressBar() : enabled_(stderrIsTerminal()) {}

ProgressBar::~ProgressBar() {
    clear();
}

void ProgressBar::show(const std::string& stage, uint64_t done, uint64_t total) {
    if (!enabled_) return;
    const int64_t now = nowMs();
    if (drawn_ && stage == lastStage_ && now - lastMs_ < kRedrawMs && done != total) return;
    lastMs_ = now;
    lastStage_ = stage;
    drawn_ = true;
    if (total == 0) {
        std::fprintf(stderr, "\r\033[K%s …", stage.c_str());
    } else {
        const double fraction = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
        const auto filled = static_cast<size_t>(fraction * static_cast<double>(kBarWidth));
        std::fprintf(stderr, "\r\033[K%s [%s%s] %3.0f%%  %s", stage.c_str(), std::string(filled, '#').c_str(),
                     std::string(kBarWidth - filled, ' ').c_str(), fraction * 100,
                     readableBytes(total).c_str());
    }
    std::fflush(stderr);
}

std::function<void(const std::string& stage, uint64_t done, uint64_t total)> ProgressBar::callback() {
    return [this](const std::string& stage, uint64_t done, uint64_t total) { show(stage, done, total); };
}

void ProgressBar::clear() {
    if (!drawn_) return;
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
    drawn_ = false;
}

void writeWords(std::string_view text) {
    std::string shown;
    if (stdoutIsTerminal()) {
        for (size_t at = 0; at < text.size();) {
            const char32_t c = base::nextCodePoint(text, at);
            const bool control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0);
            base::appendUtf8(shown, !control ? c : c < 0x20 ? 0x2400 + c : c == 0x7F ? 0x2421 : 0xFFFD);
        }
        text = shown;
    }
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

std::string readableBytes(uint64_t bytes) {
    static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
    auto value = static_cast<double>(bytes);
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < std::size(kUnits)) {
        value /= 1000;
        ++unit;
    }
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
    return text;
}

}  // namespace conclave::engine::cli
