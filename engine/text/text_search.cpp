#include "engine/text/text_search.h"

namespace conclave::engine::text {

base::Result<TextSearch> TextSearch::compile(const std::string& pattern, bool isRegex,
                                             const std::string& file) {
    TextSearch made;
    made.pattern_ = pattern;
    if (!isRegex) {
        made.matcher_ = pattern;
    } else if (auto shape = SplitPattern::parse(pattern)) {
        made.matcher_ = std::move(*shape);
    } else {
        CONCLAVE_TRY(made.matcher_, BudgetRegex::compile(pattern, file));
    }
    return made;
}

TextSearch::Scan TextSearch::scratch() const {
    Scan scan;
    if (const auto* shape = std::get_if<SplitPattern>(&matcher_))
        scan.state_ = shape->scratch();
    else if (const auto* regex = std::get_if<BudgetRegex>(&matcher_))
        scan.state_ = BudgetRegex::Scan(*regex);
    return scan;
}

void TextSearch::Scan::begin(std::string_view text) {
    if (auto* shape = std::get_if<SplitPattern::Scan>(&state_))
        shape->begin(text);
    else if (auto* regex = std::get_if<BudgetRegex::Scan>(&state_))
        regex->begin(text);
    else
        state_ = text;
}

bool TextSearch::mayMatch(std::string_view text) const {
    const auto* shape = std::get_if<SplitPattern>(&matcher_);
    return !shape || shape->candidate(text, 0) < text.size();
}

Search TextSearch::find(Scan& scan, size_t from, Match& match) const {
    if (const auto* shape = std::get_if<SplitPattern>(&matcher_))
        return shape->find(std::get<SplitPattern::Scan>(scan.state_), from, match);
    if (const auto* regex = std::get_if<BudgetRegex>(&matcher_))
        return regex->find(std::get<BudgetRegex::Scan>(scan.state_), from, match);
    const std::string& literal = std::get<std::string>(matcher_);
    const size_t at = literal.empty() ? std::string_view::npos
                                      : std::get<std::string_view>(scan.state_).find(literal, from);
    if (at == std::string_view::npos) return Search::None;
    match = {at, at + literal.size()};
    return Search::Found;
}

base::Error TextSearch::tooLong(const std::string& file) const {
    return {base::Code::UnsupportedTokenizer,
            file,
            "pre_tokenizer",
            {"pattern " + pattern_.substr(0, 200),
             "matching it against this text takes too long; use another tokenizer"}};
}

}  // namespace conclave::engine::text
