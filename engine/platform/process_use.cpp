#include "engine/platform/process_use.h"

#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>

namespace conclave::engine::platform {

ProcessUse processUse() {
    ProcessUse use;
    uint64_t allPages = 0, residentPages = 0;
    if (std::ifstream("/proc/self/statm") >> allPages >> residentPages)
        use.residentBytes = residentPages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    rusage used{};
    if (::getrusage(RUSAGE_SELF, &used) == 0)
        for (const timeval& time : {used.ru_utime, used.ru_stime})
            use.cpuSeconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    std::error_code error;
    for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end;
         at.increment(error))
        ++use.openFiles;
    return use;
}

}  // namespace conclave::engine::platform
