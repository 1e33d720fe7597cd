#include "engine/text/jinja/meter.h"

#include <algorithm>

namespace conclave::engine::text::jinja {
namespace {

constexpr uint64_t kStepsBetweenLooks = 1024;
constexpr size_t kBytesPerStep = 256;
// A call of a macro passes through about a dozen nested nodes, so nodes may nest deeper than calls. The
// product bounds the stack: a level takes well under a KiB.
constexpr uint32_t kNodesPerCall = 8;

std::string mebibytes(size_t bytes) {
    if (bytes >= (size_t{1} << 20)) return std::to_string(bytes >> 20) + " MiB";
    return std::to_string(bytes) + " bytes";
}

}  // namespace

void fail(std::string message) {
    throw Failure{base::Code::TemplateFailed, std::move(message), 0};
}

void failSyntax(std::string message, uint32_t line) {
    throw Failure{base::Code::TemplateSyntax, std::move(message), line};
}

void failBudget(std::string message) {
    throw Failure{base::Code::TemplateBudget, std::move(message), 0};
}

std::string tooDeep(uint32_t levels) {
    return "chat template too deeply nested (more than " + std::to_string(levels) + " levels)";
}

Meter::Meter(const TemplateBudget& budget)
    : budget_(budget), deadline_(std::chrono::steady_clock::now() + budget.time),
      nextLook_(std::min(budget.steps + 1, kStepsBetweenLooks)), heldLimit_(liveBytes()) {}

void Meter::look() {
    if (used_ > budget_.steps) failBudget("it takes more than " + std::to_string(budget_.steps) + " steps");
    if (std::chrono::steady_clock::now() > deadline_)
        failBudget("it takes longer than " + std::to_string(budget_.time.count()) + " ms");
    nextLook_ = std::min(budget_.steps + 1, used_ + kStepsBetweenLooks);
}

void Meter::text(size_t bytes) {
    grown(bytes, bytes);
}

void Meter::grown(size_t total, size_t added) {
    if (total > budget_.outputBytes)
        failBudget("it makes a text of more than " + mebibytes(budget_.outputBytes));
    step(added / kBytesPerStep);
}

void Meter::items(size_t count) {
    if (count > budget_.items)
        failBudget("it makes a list of more than " + std::to_string(budget_.items) + " items");
    step(count);
}

void Meter::hold(size_t bytes) {
    held_ += bytes;
    if (held_ > heldLimit_) failBudget("its values take more than " + mebibytes(liveBytes()));
}

void Meter::enter() {
    // Counted only when it succeeds: the guard that leaves again is not made when this throws.
    if (depth_ >= budget_.depth * kNodesPerCall) failBudget(tooDeep(budget_.depth));
    ++depth_;
}

void Meter::enterCall() {
    if (calls_ >= budget_.depth) failBudget(tooDeep(budget_.depth));
    ++calls_;
}

}  // namespace conclave::engine::text::jinja
