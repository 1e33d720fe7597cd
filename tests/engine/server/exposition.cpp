#include "tests/engine/server/exposition.h"

#include <cmath>
#include <cstdlib>
#include <regex>
#include <set>

namespace conclave::engine::testing {
namespace {

const std::regex kName("[a-zA-Z_:][a-zA-Z0-9_:]*");
const std::regex kSample(R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? ([^ ]+))re");
// A label: its name and a value in which only \\ \" and \n are escaped.
const std::regex kLabels(
    R"re(([a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*")(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*")*)re");
const std::regex kBound(R"re(,?le="([^"]*)")re");

struct Reader {
    Exposition out;
    std::string current;           ///< family
    std::set<std::string> series;  ///< all samples so far
    struct Buckets {
        double bound = -HUGE_VAL, count = 0;
        bool infinite = false;
    };
    std::map<std::string, Buckets> buckets;  ///< by labels without le

    void fault(std::string what) { out.faults.push_back(std::move(what)); }

    void comment(const std::string& line) {
        std::smatch parts;
        static const std::regex kComment("# (HELP|TYPE) ([^ ]+) (.+)");
        if (!std::regex_match(line, parts, kComment)) return fault("neither HELP nor TYPE: " + line);
        const std::string name = parts[2];
        if (!std::regex_match(name, kName)) fault("a bad name: " + line);
        if (parts[1] == "HELP") {
            if (out.families.contains(name)) fault("a family twice: " + name);
            out.families[name].help = parts[3];
            current = name;
            buckets.clear();
            return;
        }
        if (name != current || !out.families[name].type.empty()) fault("TYPE out of place: " + line);
        const std::string type = parts[3];
        if (type != "counter" && type != "gauge" && type != "histogram") fault("a bad type: " + line);
        out.families[name].type = type;
    }

    void bucket(const std::string& labels, double value) {
        std::smatch bound;
        if (!std::regex_search(labels, bound, kBound)) return fault("a bucket without le: " + labels);
        Buckets& before = buckets[std::regex_replace(labels, kBound, "")];
        const std::string text = bound[1];
        const double limit = text == "+Inf" ? HUGE_VAL : std::atof(text.c_str());
        if (!(limit > before.bound)) fault("bounds do not rise: " + labels);
        if (value < before.count) fault("counts fall: " + labels);
        before = {limit, value, text == "+Inf"};
    }

    void sample(const std::string& line) {
        std::smatch parts;
        if (!std::regex_match(line, parts, kSample)) return fault("not a sample: " + line);
        const std::string name = parts[1], labels = parts[3], number = parts[4];
        if (parts[2].matched && !std::regex_match(labels, kLabels)) fault("bad labels: " + line);
        char* end = nullptr;
        const double value = std::strtod(number.c_str(), &end);
        if (end != number.c_str() + number.size() || std::isnan(value)) fault("not a number: " + line);
        if (!series.insert(line.substr(0, line.rfind(' '))).second) fault("a sample twice: " + line);
        Exposition::Family& family = out.families[current];
        if (family.type.empty()) fault("a sample before its TYPE: " + line);
        family.samples[line.substr(0, line.rfind(' '))] = value;
        if (family.type != "histogram") {
            if (name != current) fault("a sample of another family: " + line);
            if (family.type == "counter" && (!name.ends_with("_total") || value < 0))
                fault("no counter: " + line);
            return;
        }
        if (name == current + "_bucket") return bucket(labels, value);
        if (name == current + "_sum") return;
        if (name != current + "_count") return fault("a sample of another family: " + line);
        const Buckets& all = buckets[labels];
        if (!all.infinite || all.count != value) fault("the count is not that of +Inf: " + line);
    }
};

}  // namespace

double Exposition::value(const std::string& sample) const {
    const auto family = families.find(sample.substr(0, sample.find('{')));
    if (family == families.end()) return -1;
    const auto found = family->second.samples.find(sample);
    return found == family->second.samples.end() ? -1 : found->second;
}

Exposition readExposition(std::string_view text) {
    Reader reader;
    if (!text.ends_with('\n')) reader.fault("no line feed at the end");
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string line(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.starts_with('#'))
            reader.comment(line);
        else
            reader.sample(line);
    }
    return std::move(reader.out);
}

}  // namespace conclave::engine::testing
