#include "engine/text/jinja/functions.h"

#include <utility>

#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/methods.h"
#include "engine/text/jinja/strftime.h"

namespace conclave::engine::text::jinja {
namespace {

Value range(Call& call) {
    if (!call.args.keyword.empty()) fail("range() takes no keyword arguments");
    const std::vector<Value>& given = call.args.positional;
    if (given.empty() || given.size() > 3)
        fail("range expected 1 to 3 arguments, got " + std::to_string(given.size()));
    int64_t numbers[3] = {0, 0, 1};
    for (size_t i = 0; i < given.size(); ++i) {
        if (given[i].is(Kind::Undefined)) fail(given[i].undefinedMessage());
        if (!isInteger(given[i]))
            fail("'" + std::string(typeName(given[i])) + "' object cannot be interpreted as an integer");
        numbers[given.size() == 1 ? 1 : i] = toInteger(given[i]);
    }
    if (numbers[2] == 0) fail("range() arg 3 must not be zero");
    auto* out = call.in.heap().make<RangeObject>();
    out->start = numbers[0];
    out->stop = numbers[1];
    out->step = numbers[2];
    const auto most = static_cast<int64_t>(call.in.meter().budget().items);
    if (out->size() > most) call.in.meter().items(static_cast<size_t>(out->size()));
    return Value(Kind::Range, out);
}

Value filled(Call& call, Kind kind) {
    auto* out = call.in.heap().make<DictObject>();
    fillDict(call.in, *out, call.args);
    return Value(kind, out);
}
Value makeDict(Call& call) {
    return filled(call, Kind::Dict);
}
Value makeNamespace(Call& call) {
    return filled(call, Kind::Namespace);
}

Value cycler(Call& call) {
    if (call.args.positional.empty()) fail("at least one item has to be provided");
    auto* out = call.in.heap().make<CyclerObject>();
    out->items = call.args.positional;
    return Value(Kind::Cycler, out);
}

Value joiner(Call& call) {
    auto* out = call.in.heap().make<JoinerObject>();
    out->separator = call.has(0) ? call.in.string(call.in.text(call.at(0))).textRef()
                                 : call.in.string(", ", true).textRef();
    return Value(Kind::Joiner, out);
}

Value raiseException(Call& call) {
    std::string message = call.in.text(call.at(0)).bytes();
    if (message.empty()) message = "the chat template refuses this conversation without saying why";
    throw Failure{base::Code::TemplateRaised, std::move(message), 0};
}

Value strftimeNow(Call& call) {
    // The budget of a text also bounds what a format may ask for: a directive is never much longer than its
    // letters.
    call.in.meter().text(call.text(0).size());
    return call.in.string(formatTime(call.text(0).view(), call.in.now()), call.text(0).trusted());
}

constexpr FunctionRow kFunctions[] = {
    {"range", "*", range},
    {"dict", "*", makeDict},
    {"namespace", "*", makeNamespace},
    {"cycler", "*", cycler},
    {"joiner", "?sep", joiner},
    {"raise_exception", "message", raiseException},
    {"strftime_now", "format", strftimeNow},
};

}  // namespace

std::span<const FunctionRow> globalFunctions() {
    return kFunctions;
}

}  // namespace conclave::engine::text::jinja
