#pragma once

#include <optional>
#include <vector>

#include "engine/text/jinja/callable.h"

namespace conclave::engine::text::jinja {

/// The `attribute` argument of filters: "address.city", "items.0", or a number. Without one it gives the item
/// itself.
class AttributePath {
  public:
    AttributePath(Interpreter& in, const Value* attribute);
    /// "age,name": several paths.
    static std::vector<AttributePath> several(Interpreter& in, const Value* attribute);

    /// The item's attribute; `byDefault` takes the place of what is undefined.
    Value operator()(const Value& item, const Value* byDefault = nullptr) const;

  private:
    explicit AttributePath(Interpreter& in) : in_(in) {}
    void add(const Text& path);

    Interpreter& in_;
    std::vector<Value> parts_;
};

/// What sorting and grouping look at: strings in lower case unless case matters.
Value sortKey(Interpreter& in, const Value& value, bool caseSensitive);

}  // namespace conclave::engine::text::jinja
