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

std::string StopStrings::begun(std::string_view more, size_t bytes) const {
    const std::string_view held =
        held_ == 0 ? std::string_view() : std::string_view(stops_[holder_].text).substr(0, held_);
    std::string out(held.substr(0, bytes));
    out += more.substr(0, bytes - out.size());
    return out;
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
        out.text = begun(text, held_ + i + 1 - complete);
        held_ = 0;
        out.stopped = stopped_ = true;
        return out;
    }
    size_t holder = 0, possible = 0;
    for (size_t i = 0; i < stops_.size(); ++i)
        if (stops_[i].matched > possible) {
            holder = i;
            possible = stops_[i].matched;
        }
    out.text = begun(text, held_ + text.size() - possible);
    holder_ = holder;
    held_ = possible;
    return out;
}

std::string StopStrings::finish() {
    std::string out = begun({}, held_);
    held_ = 0;
    return out;
}

}  // namespace conclave::engine::text
