#include "engine/parallel/replicas.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>

namespace conclave::engine::parallel {
namespace {

using base::Code;
using base::Error;
using base::Result;

/// One copy of an expert with its share of the expert's tokens.
struct Copy {
    uint32_t expert = 0;
    double load = 0;
};

/// One device while a layer is packed.
struct Device {
    double load = 0;
    std::vector<Copy> copies;

    bool has(uint32_t expert) const {
        return std::ranges::any_of(copies, [&](const Copy& copy) { return copy.expert == expert; });
    }
};

/// The copies of a layer, the heaviest first.
std::vector<Copy> makeCopies(std::span<const uint64_t> counts, uint32_t copies, uint32_t devices) {
    std::vector<uint32_t> of(counts.size(), 1);
    const auto share = [&](size_t expert) {
        return static_cast<double>(counts[expert]) / static_cast<double>(of[expert]);
    };
    for (auto left = copies - static_cast<uint32_t>(counts.size()); left > 0; --left) {
        size_t hottest = counts.size();
        for (size_t e = 0; e < counts.size(); ++e)
            if (of[e] < devices && (hottest == counts.size() || share(e) > share(hottest))) hottest = e;
        if (hottest == counts.size() || counts[hottest] == 0) break;
        ++of[hottest];
    }
    std::vector<Copy> out;
    for (size_t e = 0; e < counts.size(); ++e)
        out.insert(out.end(), of[e], Copy{static_cast<uint32_t>(e), share(e)});
    std::ranges::stable_sort(out, [](const Copy& a, const Copy& b) { return a.load > b.load; });
    return out;
}

/// The least loaded device with a free slot that has no copy of this expert; null where there is none.
Device* placeFor(std::vector<Device>& devices, uint32_t expert, uint32_t slots) {
    Device* best = nullptr;
    for (Device& device : devices)
        if (device.copies.size() < slots && !device.has(expert) &&
            (best == nullptr || device.load < best->load))
            best = &device;
    return best;
}

/// Deals the copies out. The first of an expert finds a place, since there are as many slots as copies; a
/// further one for which only devices are free that have one already is left out.
std::vector<Device> pack(const std::vector<Copy>& copies, uint32_t count, uint32_t slots) {
    std::vector<Device> devices(count);
    std::vector<uint32_t> left;  // copies of each expert that found no place
    for (const Copy& copy : copies)
        if (Device* device = placeFor(devices, copy.expert, slots)) {
            device->copies.push_back(copy);
            device->load += copy.load;
        } else {
            left.push_back(copy.expert);
        }
    for (const uint32_t expert : left) {  // the copies that are there take its share
        const auto all = [&](auto&& with) {
            for (Device& device : devices)
                for (Copy& copy : device.copies)
                    if (copy.expert == expert) with(device, copy);
        };
        double placed = 0;
        all([&](Device&, const Copy&) { ++placed; });
        all([&](Device& device, Copy& copy) {
            const double more = copy.load / placed;
            copy.load += more;
            device.load += more;
        });
    }
    return devices;
}

/// Swaps a copy of the busiest device with one of another where that makes the busier of the two less busy;
/// false where no swap does.
bool improve(std::vector<Device>& devices) {
    Device& busiest =
        *std::ranges::max_element(devices, [](const Device& a, const Device& b) { return a.load < b.load; });
    Device* with = nullptr;
    size_t mine = 0, theirs = 0;
    double best = busiest.load * (1 - 1e-9);
    for (Device& other : devices) {
        if (&other == &busiest) continue;
        for (size_t i = 0; i < busiest.copies.size(); ++i)
            for (size_t j = 0; j < other.copies.size(); ++j) {
                const Copy &a = busiest.copies[i], &b = other.copies[j];
                const double after = std::max(busiest.load - a.load + b.load, other.load - b.load + a.load);
                if (after >= best || other.has(a.expert) || busiest.has(b.expert)) continue;
                best = after;
                with = &other;
                mine = i;
                theirs = j;
            }
    }
    if (with == nullptr) return false;
    const double change = busiest.copies[mine].load - with->copies[theirs].load;
    std::swap(busiest.copies[mine], with->copies[theirs]);
    busiest.load -= change;
    with->load += change;
    return true;
}

/// As many neighbouring experts on every device, as far as they go.
LayerPlacement neighbours(size_t experts, uint32_t devices) {
    LayerPlacement out;
    for (size_t e = 0; e < experts; ++e)
        out.devices.push_back({static_cast<uint32_t>(e * devices / experts)});
    return out;
}

LayerPlacement planLayer(std::span<const uint64_t> counts, const ReplicaPlan& plan) {
    std::vector<Device> devices =
        pack(makeCopies(counts, plan.copies, plan.devices), plan.devices, plan.slots);
    const size_t most = 16 * counts.size();  // each swap helps, but nobody promises how little
    for (size_t n = 0; n < most && improve(devices); ++n) {
    }
    LayerPlacement out;
    out.devices.resize(counts.size());
    for (uint32_t d = 0; d < plan.devices; ++d)
        for (const Copy& copy : devices[d].copies)
            out.devices[copy.expert].push_back(d);
    out.unplanned = stragglerFactor(neighbours(counts.size(), plan.devices), counts, plan.devices);
    out.planned = stragglerFactor(out, counts, plan.devices);
    return out;
}

}  // namespace

double stragglerFactor(const LayerPlacement& placement, std::span<const uint64_t> counts, uint32_t devices) {
    std::vector<double> loads(devices);
    for (size_t e = 0; e < counts.size(); ++e)
        for (const uint32_t device : placement.devices[e])
            loads[device] +=
                static_cast<double>(counts[e]) / static_cast<double>(placement.devices[e].size());
    const double all = std::accumulate(loads.begin(), loads.end(), 0.0);
    return all == 0 ? 1 : *std::ranges::max_element(loads) * devices / all;
}

Result<ReplicaPlan> planReplicas(std::span<const std::vector<uint64_t>> counts,
                                 const ReplicaOptions& options) {
    const size_t experts = counts.empty() ? 0 : counts.front().size();
    if (experts == 0 ||
        std::ranges::any_of(counts, [&](const auto& layer) { return layer.size() != experts; }))
        return Error{Code::BadArgument, {}, "counts", {"need layers with the same number of experts"}};
    if (options.devices < 1 || options.devices > experts)
        return Error{
            Code::OutOfRange,
            {},
            "devices",
            {std::to_string(options.devices), "from 1 to the " + std::to_string(experts) + " experts"}};
    if (!(options.extra >= 0 && options.extra <= 1)) {
        char shown[32];
        std::snprintf(shown, sizeof shown, "%g", options.extra);
        return Error{Code::OutOfRange, {}, "extra", {shown, "from 0 to 1"}};
    }
    ReplicaPlan plan;
    plan.devices = options.devices;
    plan.copies =
        static_cast<uint32_t>(experts + static_cast<size_t>(options.extra * static_cast<double>(experts)));
    plan.slots = (plan.copies + plan.devices - 1) / plan.devices;
    for (const std::vector<uint64_t>& layer : counts)
        plan.layers.push_back(planLayer(layer, plan));
    return plan;
}

}  // namespace conclave::engine::parallel
