#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/callable.h"
#include "engine/text/jinja/value.h"

namespace conclave::engine::text::jinja {

/// The `loop` variable. Items of a filtered loop are tested when they are reached, as in Jinja: its body can
/// change the outcome.
struct LoopObject : Object {
    const For* node = nullptr;
    Interpreter* in = nullptr;
    Scope* around = nullptr;  ///< the scope the loop stands in
    int64_t depth0 = 0;

    void begin(std::vector<Value> items) { source_ = std::move(items); }
    /// Moves to the next item; false at the end.
    bool advance();
    /// The loop is over: what it still held is dropped.
    void end();
    const Value& item() const { return current_; }
    int64_t index0() const { return index0_; }

    /// loop.name, or null when there is no such attribute.
    std::optional<Value> attribute(std::string_view name);
    bool changed(std::vector<Value> values);
    std::string describe();

  private:
    std::optional<Value> pull();
    const std::optional<Value>& peek();
    int64_t length();

    std::vector<Value> source_;
    size_t at_ = 0;
    bool tested_ = false;  // what is left in source_ has passed the test
    int64_t index0_ = -1;
    std::optional<Value> ahead_;
    bool peeked_ = false;
    Value current_;
    std::optional<Value> before_;
    int64_t length_ = -1;
    std::optional<std::vector<Value>> lastChanged_;
};

}  // namespace conclave::engine::text::jinja
