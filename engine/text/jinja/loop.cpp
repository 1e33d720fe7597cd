#include "engine/text/jinja/loop.h"

#include <utility>

#include "engine/text/jinja/interpreter.h"

namespace conclave::engine::text::jinja {

std::optional<Value> LoopObject::pull() {
    while (at_ < source_.size()) {
        Value item = std::move(source_[at_++]);
        if (tested_ || !node->test || in->passesTest(*node, around, item)) return item;
    }
    return std::nullopt;
}

const std::optional<Value>& LoopObject::peek() {
    if (!std::exchange(peeked_, true)) ahead_ = pull();
    return ahead_;
}

bool LoopObject::advance() {
    std::optional<Value> item = peek();
    peeked_ = false;
    if (!item) return false;
    before_ = index0_ >= 0 ? std::optional<Value>(std::move(current_)) : std::nullopt;
    current_ = std::move(*item);
    ++index0_;
    return true;
}

void LoopObject::end() {
    source_.clear();
    at_ = 0;
    peeked_ = true;
    ahead_.reset();
}

int64_t LoopObject::length() {
    if (length_ >= 0) return length_;
    if (node->test && !tested_) {
        // Jinja walks the rest of the loop here, so that its tests run now.
        std::vector<Value> rest;
        while (std::optional<Value> item = peek()) {
            rest.push_back(*std::move(item));
            peeked_ = false;
        }
        tested_ = true;
        source_ = std::move(rest);
        at_ = 0;
        peeked_ = false;
    }
    length_ = index0_ + 1 + static_cast<int64_t>(source_.size() - at_) + (peeked_ && ahead_ ? 1 : 0);
    return length_;
}

bool LoopObject::changed(std::vector<Value> values) {
    const auto same = [&]() {
        if (!lastChanged_ || lastChanged_->size() != values.size()) return false;
        for (size_t i = 0; i < values.size(); ++i)
            if (!equals((*lastChanged_)[i], values[i], in->meter())) return false;
        return true;
    };
    if (same()) return false;
    lastChanged_ = std::move(values);
    return true;
}

std::optional<Value> LoopObject::attribute(std::string_view name) {
    if (name == "index") return Value(index0_ + 1);
    if (name == "index0") return Value(index0_);
    if (name == "first") return Value(index0_ == 0);
    if (name == "last") return Value(!peek().has_value());
    if (name == "length") return Value(length());
    if (name == "revindex") return Value(length() - index0_);
    if (name == "revindex0") return Value(length() - index0_ - 1);
    if (name == "depth") return Value(depth0 + 1);
    if (name == "depth0") return Value(depth0);
    if (name == "previtem") return before_ ? *before_ : in->heap().undefined("there is no previous item");
    if (name == "nextitem") return peek() ? *peek() : in->heap().undefined("there is no next item");
    return std::nullopt;
}

std::string LoopObject::describe() {
    return "<LoopContext " + std::to_string(index0_ + 1) + "/" + std::to_string(length()) + ">";
}

}  // namespace conclave::engine::text::jinja
