#include "engine/text/split_pattern.h"

#include <algorithm>
#include <limits>

#include "engine/base/utf8.h"

namespace conclave::engine::text {
namespace {

constexpr uint32_t kUnbounded = std::numeric_limits<uint32_t>::max();

// Work allowed for a text: far above what the patterns of real tokenizers need (under 30 a byte).
constexpr uint64_t kStepsPerByte = 100, kStepsAlways = 1'000'000;

size_t previousCharacter(std::string_view text, size_t at) {
    do
        --at;
    while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
    return at;
}

size_t characterLength(unsigned char lead) {
    return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

}  // namespace

void SplitPattern::Scan::begin(std::string_view text) {
    text_ = text;
    if (++epoch_ == 0) {  // after four thousand million texts
        std::fill(runs_.begin(), runs_.end(), Run{});
        std::fill(failures_.begin(), failures_.end(), Failure{});
        epoch_ = 1;
    }
    stepsLeft_ = kStepsAlways + kStepsPerByte * text.size();
}

SplitPattern::Scan SplitPattern::scratch() const {
    Scan scan;
    scan.runs_.resize(classes_.size());
    scan.failures_.resize(alternatives_.size());
    return scan;
}

bool SplitPattern::inClass(uint16_t charClass, std::string_view text, size_t at, size_t& next) const {
    if (at >= text.size()) return false;
    const auto lead = static_cast<unsigned char>(text[at]);
    if (lead < 0x80) {
        next = at + 1;
        return classes_[charClass].containsAscii(lead);
    }
    next = at;
    return classes_[charClass].contains(base::nextCodePoint(text, next));
}

size_t SplitPattern::runEnd(Scan& scan, uint16_t charClass, size_t at) const {
    Scan::Run& run = scan.runs_[charClass];
    if (run.epoch == scan.epoch_ && at >= run.begin && at <= run.end) return run.end;
    size_t end = at, next = at;
    while (inClass(charClass, scan.text_, end, next))
        end = next;
    const size_t steps = end - at + 1;
    scan.stepsLeft_ -= std::min<uint64_t>(scan.stepsLeft_, steps);
    run = {at, end, scan.epoch_};
    return end;
}

bool SplitPattern::matchRun(Scan& scan, const Sequence& items, size_t index, size_t at, size_t& end) const {
    const Item& item = items[index];
    size_t shortest = at, longest = at, next = at;
    if (item.least == 0 && item.most == 1) {
        if (inClass(item.charClass, scan.text_, at, next)) {
            if (matchFrom(scan, items, index + 1, next, end)) return true;
            if (item.possessive) return false;
        }
        return matchFrom(scan, items, index + 1, at, end);
    }
    uint32_t count = 0;
    for (; count < item.least; ++count) {
        if (!inClass(item.charClass, scan.text_, longest, next)) return false;
        longest = next;
    }
    shortest = longest;
    if (item.most == kUnbounded) {
        longest = runEnd(scan, item.charClass, longest);
    } else {
        for (; count < item.most && inClass(item.charClass, scan.text_, longest, next); ++count)
            longest = next;
    }
    if (scan.stepsLeft_ < count + 1) return scan.stepsLeft_ = 0, false;
    scan.stepsLeft_ -= count + 1;
    // The longest run first, then one character less at a time, as a backtracking engine tries them.
    for (size_t stop = longest;; stop = previousCharacter(scan.text_, stop)) {
        if (matchFrom(scan, items, index + 1, stop, end)) return true;
        if (stop == shortest || item.possessive || scan.stepsLeft_ == 0) return false;
        --scan.stepsLeft_;
    }
}

bool SplitPattern::matchFrom(Scan& scan, const Sequence& items, size_t index, size_t at, size_t& end) const {
    for (; index < items.size(); ++index) {
        const Item& item = items[index];
        size_t next = at;
        switch (item.kind) {
        case Kind::Ahead:
            if (!inClass(item.charClass, scan.text_, at, next)) return false;
            break;
        case Kind::NotAhead:
            if (inClass(item.charClass, scan.text_, at, next)) return false;
            break;
        case Kind::LineEnd:
            if (at != scan.text_.size() && scan.text_[at] != '\n') return false;
            break;
        case Kind::Branch:
            for (const Sequence& rest : branches_[item.charClass])
                if (matchFrom(scan, rest, 0, at, end)) return true;
            return false;
        case Kind::Run:
            if (item.least != 1 || item.most != 1) return matchRun(scan, items, index, at, end);
            if (!inClass(item.charClass, scan.text_, at, next)) return false;
            at = next;
            break;
        }
    }
    end = at;
    return true;
}

bool SplitPattern::matchAlternative(Scan& scan, size_t alternative, size_t at, size_t& end) const {
    const Sequence& items = alternatives_[alternative];
    const Item& first = items.front();
    const bool openRun = first.kind == Kind::Run && first.most == kUnbounded && first.least <= 1;
    Scan::Failure& failure = scan.failures_[alternative];
    if (openRun && failure.epoch == scan.epoch_ && at < failure.until) return false;
    if (matchFrom(scan, items, 0, at, end)) return true;
    // What follows the run was tried behind each of its characters, so that beginning later in it cannot
    // succeed either.
    if (openRun && !first.possessive) {
        const auto& run = scan.runs_[first.charClass];
        if (run.epoch == scan.epoch_ && at >= run.begin && at < run.end) failure = {run.end, scan.epoch_};
    }
    return false;
}

size_t SplitPattern::candidate(std::string_view text, size_t from) const {
    while (from < text.size()) {
        const auto lead = static_cast<unsigned char>(text[from]);
        // Continuation bytes are never asked about: a wide character that cannot begin a match is stepped
        // over whole.
        if ((lead < 0x80 ? startsWith_[lead] : startsWide_) != 0) return from;
        from += characterLength(lead);
    }
    return text.size();
}

Search SplitPattern::find(Scan& scan, size_t from, Match& match) const {
    const std::string_view text = scan.text_;
    for (size_t at = from; at < text.size();) {
        const auto lead = static_cast<unsigned char>(text[at]);
        uint64_t candidates = lead < 0x80 ? startsWith_[lead] : startsWide_;
        while (candidates != 0) {
            const auto alternative = static_cast<size_t>(__builtin_ctzll(candidates));
            candidates &= candidates - 1;
            size_t end = at;
            if (lead < 0x80 && ((asPrefix_[lead] >> alternative) & 1) != 0 &&
                !inClass(second_[alternative], text, at + 1, end))
                continue;
            if (matchAlternative(scan, alternative, at, end)) {
                match = {at, end};
                return Search::Found;
            }
            if (scan.stepsLeft_ == 0) return Search::TooLong;
        }
        at += characterLength(lead);
    }
    return Search::None;
}

void SplitPattern::indexPrefix(size_t alternative) {
    second_.push_back(0);
    const Sequence& items = alternatives_[alternative];
    if (items.size() < 2) return;
    const Item &prefix = items[0], &run = items[1];
    if (prefix.kind != Kind::Run || prefix.least != 0 || prefix.most != 1) return;
    if (run.kind != Kind::Run || run.least == 0) return;
    second_.back() = run.charClass;
    for (unsigned char c = 0; c < 128; ++c)
        if (classes_[prefix.charClass].containsAscii(c) && !classes_[run.charClass].containsAscii(c))
            asPrefix_[c] |= uint64_t{1} << alternative;
}

void SplitPattern::indexFirstCharacters() {
    for (size_t a = 0; a < alternatives_.size(); ++a) {
        const uint64_t bit = uint64_t{1} << a;
        indexPrefix(a);
        bool any = true;  // the alternative can match without a first character that is known
        for (const Item& item : alternatives_[a]) {
            if (item.kind != Kind::Run) break;
            const UnicodeClass& first = classes_[item.charClass];
            for (unsigned char c = 0; c < 128; ++c)
                if (first.containsAscii(c)) startsWith_[c] |= bit;
            if (!first.asciiOnly()) startsWide_ |= bit;
            if (item.least > 0) {
                any = false;
                break;
            }
        }
        if (!any) continue;
        for (uint64_t& mask : startsWith_)
            mask |= bit;
        startsWide_ |= bit;
    }
}

}  // namespace conclave::engine::text
