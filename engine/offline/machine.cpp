#include "engine/offline/machine.h"

#include "engine/kernels/kernels.h"
#include "engine/platform/cpu.h"
#include "engine/platform/memory.h"
#include "engine/platform/team.h"

namespace conclave::engine::offline {

Machine inspectMachine() {
    Machine out;
    const platform::CpuFeatures cpu = platform::cpuFeatures();
    out.processor = cpu.model;
    out.features = platform::describe(cpu);
    out.threads = platform::defaultThreads();
    out.availableThreads = platform::availableThreads();
    out.memoryBytes = platform::totalMemory();
    out.availableBytes = platform::availableMemory();
    for (const kernels::Kernels* row : kernels::allKernels())
        out.kernels.push_back({std::string(row->name), row->supported()});
    return out;
}

nlohmann::ordered_json toJson(const Machine& machine) {
    nlohmann::ordered_json kernels = nlohmann::ordered_json::array();
    for (const Machine::KernelsRow& row : machine.kernels)
        kernels.push_back({{"name", row.name}, {"supported", row.supported}});
    return {{"processor", machine.processor},
            {"features", machine.features},
            {"threads", machine.threads},
            {"available_threads", machine.availableThreads},
            {"memory_bytes", machine.memoryBytes},
            {"available_bytes", machine.availableBytes},
            {"kernels", kernels}};
}

}  // namespace conclave::engine::offline
