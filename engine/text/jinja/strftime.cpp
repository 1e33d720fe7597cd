#include "engine/text/jinja/strftime.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

namespace conclave::engine::text::jinja {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"January",   "February", "March",    "April",
                                                      "May",       "June",     "July",     "August",
                                                      "September", "October",  "November", "December"};

std::string number(int value, size_t width, char pad, char flag) {
    std::string out = std::to_string(value);
    if (flag == '-') return out;
    if (flag == '_') pad = ' ';
    if (flag == '0') pad = '0';
    return out.size() < width ? std::string(width - out.size(), pad) + out : out;
}

int hour12(const std::tm& time) {
    return time.tm_hour % 12 == 0 ? 12 : time.tm_hour % 12;
}

struct IsoWeek {
    int year, week;
};

IsoWeek isoWeek(const std::tm& time) {
    const int weekday = (time.tm_wday + 6) % 7;  // Monday is 0
    const int year = time.tm_year + 1900;
    const int week = (time.tm_yday - weekday + 10) / 7;
    const auto weeksIn = [](int y) {
        const auto lastWeekday = [](int z) { return (z + z / 4 - z / 100 + z / 400) % 7; };
        return lastWeekday(y) == 4 || lastWeekday(y - 1) == 3 ? 53 : 52;
    };
    if (week < 1) return {year - 1, weeksIn(year - 1)};
    if (week > weeksIn(year)) return {year + 1, 1};
    return {year, week};
}

std::string_view name(const auto& names, int index) {
    return index >= 0 && static_cast<size_t>(index) < names.size() ? names[static_cast<size_t>(index)] : "?";
}

/// Directives that stand for others.
struct Shorthand {
    char letter;
    std::string_view format;
};
constexpr Shorthand kShorthands[] = {
    {'c', "%a %b %e %H:%M:%S %Y"},
    {'D', "%m/%d/%y"},
    {'F', "%Y-%m-%d"},
    {'h', "%b"},
    {'r', "%I:%M:%S %p"},
    {'R', "%H:%M"},
    {'T', "%H:%M:%S"},
    {'x', "%m/%d/%y"},
    {'X', "%H:%M:%S"},
};

/// Directives that are numbers: filled up to a width.
struct Numeric {
    char letter;
    size_t width;
    char pad;
    int (*value)(const std::tm& t);
};
constexpr Numeric kNumerics[] = {
    {'C', 2, '0', [](const std::tm& t) { return (t.tm_year + 1900) / 100; }},
    {'d', 2, '0', [](const std::tm& t) { return t.tm_mday; }},
    {'e', 2, ' ', [](const std::tm& t) { return t.tm_mday; }},
    {'g', 2, '0', [](const std::tm& t) { return isoWeek(t).year % 100; }},
    {'G', 1, '0', [](const std::tm& t) { return isoWeek(t).year; }},
    {'H', 2, '0', [](const std::tm& t) { return t.tm_hour; }},
    {'I', 2, '0', hour12},
    {'j', 3, '0', [](const std::tm& t) { return t.tm_yday + 1; }},
    {'k', 2, ' ', [](const std::tm& t) { return t.tm_hour; }},
    {'l', 2, ' ', hour12},
    {'m', 2, '0', [](const std::tm& t) { return t.tm_mon + 1; }},
    {'M', 2, '0', [](const std::tm& t) { return t.tm_min; }},
    {'S', 2, '0', [](const std::tm& t) { return t.tm_sec; }},
    {'u', 1, '0', [](const std::tm& t) { return t.tm_wday == 0 ? 7 : t.tm_wday; }},
    {'U', 2, '0', [](const std::tm& t) { return (t.tm_yday + 7 - t.tm_wday) / 7; }},
    {'V', 2, '0', [](const std::tm& t) { return isoWeek(t).week; }},
    {'w', 1, '0', [](const std::tm& t) { return t.tm_wday; }},
    {'W', 2, '0', [](const std::tm& t) { return (t.tm_yday + 7 - (t.tm_wday + 6) % 7) / 7; }},
    {'y', 2, '0', [](const std::tm& t) { return (t.tm_year + 1900) % 100; }},
    {'Y', 1, '0', [](const std::tm& t) { return t.tm_year + 1900; }},
};

/// The text of one directive, or nothing where there is none of that letter.
std::optional<std::string> directive(char letter, char flag, const std::tm& t) {
    for (const Shorthand& row : kShorthands)
        if (row.letter == letter) return formatTime(row.format, t);
    for (const Numeric& row : kNumerics)
        if (row.letter == letter) return number(row.value(t), row.width, row.pad, flag);
    switch (letter) {
    case 'a':
        return std::string(name(kDays, t.tm_wday).substr(0, 3));
    case 'A':
        return std::string(name(kDays, t.tm_wday));
    case 'b':
        return std::string(name(kMonths, t.tm_mon).substr(0, 3));
    case 'B':
        return std::string(name(kMonths, t.tm_mon));
    case 'f':
        return "000000";
    case 'n':
        return "\n";
    case 'p':
        return t.tm_hour < 12 ? "AM" : "PM";
    case 'P':
        return t.tm_hour < 12 ? "am" : "pm";
    case 't':
        return "\t";
    case 'z':
    case 'Z':
        return "";  // the clock of a template has no zone
    case '%':
        return "%";
    default:
        return std::nullopt;
    }
}

}  // namespace

std::string formatTime(std::string_view format, const std::tm& time) {
    std::string out;
    for (size_t at = 0; at < format.size(); ++at) {
        if (format[at] != '%') {
            out.push_back(format[at]);
            continue;
        }
        size_t letter = at + 1;
        char flag = '\0';
        if (letter < format.size() &&
            std::string_view("-_0^#").find(format[letter]) != std::string_view::npos)
            flag = format[letter++];
        std::optional<std::string> text =
            letter < format.size() ? directive(format[letter], flag, time) : std::nullopt;
        if (!text) {
            out.push_back('%');
            continue;
        }
        if (flag == '^')
            std::transform(text->begin(), text->end(), text->begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        out += *text;
        at = letter;
    }
    return out;
}

}  // namespace conclave::engine::text::jinja
