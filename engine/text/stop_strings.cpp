#include "engine/text/stop_strings.h"

#include <algorithm>

namespace conclave::engine::text {

StopStrings::StopStrings(std::vector<std::string> stops) {
    for (std::string& text : stops) {
        if (text.empty()) continue;
        Stop stop{.text = std::move(text), .border = {}};
        stop.border.assign(stop.text.size() + 1, 0);
        uint32_t length = 0;
        for (size_t i = 1; i < stop.text.size(); ++i) {
            while (length > 0 && stop.text[i] != stop.text[length])
                length = stop.border[length];
            if (stop.text[i] == stop.text[length]) ++length;
            stop.border[i + 1] = length;
        }
        stops_.push_back(std::move(stop));
    }
}

bool StopStrings::Stop::advance(char c) {
    while (matched > 0 && c != text[matched])
        matched = border[matched];
    if (c == text[matched]) ++matched;
    return matched == text.size();
}

StopStrings::Out StopStrings::push(std::string_view text) {
    Out out;
    out.stopped = stopped_;
    if (stopped_) return out;
    for (size_t i = 0; i < text.size(); ++i) {
        size_t complete = 0;
        for (Stop& stop : stops_)
            if (stop.advance(text[i])) complete = std::max(complete, stop.text.size());
        if (complete == 0) continue;
        held_.append(text.substr(0, i + 1));
        held_.resize(held_.size() - complete);
        out.text = std::move(held_);
        held_.clear();
        out.stopped = stopped_ = true;
        return out;
    }
    held_ += text;
    size_t possible = 0;
    for (const Stop& stop : stops_)
        possible = std::max(possible, stop.matched);
    out.text = held_.substr(0, held_.size() - possible);
    held_.erase(0, held_.size() - possible);
    return out;
}

std::string StopStrings::finish() {
    std::string out = std::move(held_);
    held_.clear();
    return out;
}

}  // namespace conclave::engine::text
