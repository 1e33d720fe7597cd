#include "engine/text/jinja/filters.h"

namespace conclave::engine::text::jinja {

const FunctionRow* findFilter(std::string_view name) {
    for (const auto& table : {textFilters(), numberFilters(), sequenceFilters(), selectionFilters()})
        for (const FunctionRow& row : table)
            if (row.name == name) return &row;
    return nullptr;
}

}  // namespace conclave::engine::text::jinja
