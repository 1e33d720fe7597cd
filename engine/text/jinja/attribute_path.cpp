#include "engine/text/jinja/attribute_path.h"

#include <algorithm>

#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/repr.h"
#include "engine/text/jinja/string.h"

namespace conclave::engine::text::jinja {

AttributePath::AttributePath(Interpreter& in, const Value* attribute) : in_(in) {
    if (!attribute || attribute->is(Kind::None)) return;
    if (attribute->is(Kind::String))
        add(attribute->text());
    else
        parts_.push_back(*attribute);
}

std::vector<AttributePath> AttributePath::several(Interpreter& in, const Value* attribute) {
    if (!attribute || !attribute->is(Kind::String)) return {AttributePath(in, attribute)};
    std::vector<AttributePath> out;
    for (const Text& path : split(attribute->text(), ",", -1, false)) {
        out.push_back(AttributePath(in));
        out.back().add(path);
    }
    return out;
}

void AttributePath::add(const Text& path) {
    for (Text& part : split(path, ".", -1, false)) {
        const bool isIndex = !part.empty() && std::all_of(part.bytes().begin(), part.bytes().end(),
                                                          [](char c) { return c >= '0' && c <= '9'; });
        parts_.push_back(isIndex ? Value(parseInteger(part.view(), 10).value_or(0))
                                 : in_.string(std::move(part)));
    }
}

Value AttributePath::operator()(const Value& item, const Value* byDefault) const {
    Value out = item;
    for (const Value& part : parts_) {
        in_.meter().step();
        out = in_.item(out, part);
        if (byDefault && !byDefault->is(Kind::None) && out.is(Kind::Undefined)) out = *byDefault;
    }
    return out;
}

Value sortKey(Interpreter& in, const Value& value, bool caseSensitive) {
    return caseSensitive || !value.is(Kind::String) ? value : in.string(lower(value.text()));
}

}  // namespace conclave::engine::text::jinja
