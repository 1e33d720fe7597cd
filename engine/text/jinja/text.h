#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/jinja/meter.h"
#include "engine/text/text_span.h"

namespace conclave::engine::text::jinja {

/// A string that knows which of its bytes the template wrote (trusted) and which came out of the input.
/// Always valid UTF-8; runs change at character borders.
class Text {
  public:
    Text() = default;
    Text(std::string bytes, bool trusted) : bytes_(std::move(bytes)), first_(trusted) {}

    const std::string& bytes() const { return bytes_; }
    std::string_view view() const { return bytes_; }
    size_t size() const { return bytes_.size(); }
    bool empty() const { return bytes_.empty(); }
    /// Every byte is; an empty text is too.
    bool trusted() const { return bytes_.empty() || (first_ && flips_.empty()); }

    void append(std::string_view bytes, bool trusted);
    void append(const Text& other) { append(other, 0, other.size()); }
    /// The bytes [from, to) of another text, with their trust.
    void append(const Text& other, size_t from, size_t to);
    Text slice(size_t from, size_t to) const;
    void reserve(size_t bytes) { bytes_.reserve(bytes); }

    /// Calls run(bytes, trusted) for each run, in order.
    template <class Run> void eachRun(Run&& run) const { eachRun(0, size(), run); }
    std::vector<TextSpan> spans() const;

  private:
    bool trustAtEnd() const { return first_ != (flips_.size() % 2 == 1); }

    template <class Run> void eachRun(size_t from, size_t to, Run&& run) const {
        auto next =
            static_cast<size_t>(std::upper_bound(flips_.begin(), flips_.end(), from) - flips_.begin());
        while (from < to) {
            const size_t end = next < flips_.size() ? std::min(flips_[next], to) : to;
            run(view().substr(from, end - from), first_ != (next % 2 == 1));
            from = end;
            ++next;
        }
    }

    std::string bytes_;
    std::vector<size_t> flips_;  // where trust changes, ascending, inside the text
    bool first_ = true;          // trust of the first byte
};

/// A text in a place where several values can hold it. Those of the program (meter == nullptr) live as long
/// as it does and are never counted, so that threads can share them; those of a rendering belong to its
/// thread.
struct SharedText {
    Text text;
    Meter* meter = nullptr;
    uint32_t uses = 0;
};

class TextRef {
  public:
    TextRef() = default;
    /// A text of the program.
    explicit TextRef(SharedText* program) : body_(program) {}
    /// A new text of a rendering.
    TextRef(Meter& meter, Text text);
    TextRef(const TextRef& other) : body_(other.body_) {
        if (body_ && body_->meter) ++body_->uses;
    }
    TextRef(TextRef&& other) noexcept : body_(std::exchange(other.body_, nullptr)) {}
    TextRef& operator=(TextRef other) noexcept {
        std::swap(body_, other.body_);
        return *this;
    }
    ~TextRef() {
        if (body_ && body_->meter && --body_->uses == 0) drop();
    }

    explicit operator bool() const { return body_ != nullptr; }
    const Text& operator*() const { return body_->text; }
    const Text* operator->() const { return &body_->text; }

  private:
    void drop();
    SharedText* body_ = nullptr;
};

}  // namespace conclave::engine::text::jinja
