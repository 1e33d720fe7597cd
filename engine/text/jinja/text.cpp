#include "engine/text/jinja/text.h"

#include <memory>

namespace conclave::engine::text::jinja {

void Text::append(std::string_view bytes, bool trusted) {
    if (bytes.empty()) return;
    if (bytes_.empty())
        first_ = trusted;
    else if (trustAtEnd() != trusted)
        flips_.push_back(bytes_.size());
    bytes_.append(bytes);
}

void Text::append(const Text& other, size_t from, size_t to) {
    if (&other == this) {
        const Text copy = other.slice(from, to);
        append(copy, 0, copy.size());
        return;
    }
    other.eachRun(from, to, [this](std::string_view bytes, bool trusted) { append(bytes, trusted); });
}

Text Text::slice(size_t from, size_t to) const {
    Text out;
    out.reserve(to - from);
    out.append(*this, from, to);
    return out;
}

std::vector<TextSpan> Text::spans() const {
    std::vector<TextSpan> out;
    eachRun([&out](std::string_view bytes, bool trusted) { out.push_back({std::string(bytes), trusted}); });
    return out;
}

TextRef::TextRef(Meter& meter, Text text) {
    meter.hold(sizeof(SharedText) + text.size());
    body_ = std::make_unique<SharedText>(SharedText{std::move(text), &meter, 1}).release();
}

void TextRef::drop() {
    const std::unique_ptr<SharedText> body(body_);
    body->meter->release(sizeof(SharedText) + body->text.size());
}

}  // namespace conclave::engine::text::jinja
