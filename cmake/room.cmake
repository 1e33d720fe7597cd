# room(NAME SOURCES a.cpp b.cpp DEPENDS engine/base engine/quant LINK Boost::headers)
#
# Makes the library of the room whose CMakeLists.txt calls it. NAME is its folder (engine/text); the target is
# engine_text with the alias conclave::engine::text. A room without sources is an interface target. DEPENDS names
# rooms by folder and must agree with the doors in docs/architecture.md (tests/architecture checks the includes).
function(room NAME)
    cmake_parse_arguments(ROOM "" "" "SOURCES;DEPENDS;LINK" ${ARGN})
    string(REPLACE "/" "_" target ${NAME})
    string(REPLACE "/" "::" alias ${NAME})
    string(REPLACE "-" "_" target ${target})
    if(ROOM_SOURCES)
        add_library(${target} STATIC ${ROOM_SOURCES})
        set(scope PUBLIC)
        target_link_libraries(${target} PRIVATE conclave_flags)
    else()
        add_library(${target} INTERFACE)
        set(scope INTERFACE)
    endif()
    add_library(conclave::${alias} ALIAS ${target})
    target_include_directories(${target} ${scope} ${PROJECT_SOURCE_DIR})
    foreach(dependency IN LISTS ROOM_DEPENDS)
        string(REPLACE "/" "_" dependency_target ${dependency})
        string(REPLACE "-" "_" dependency_target ${dependency_target})
        target_link_libraries(${target} ${scope} ${dependency_target})
    endforeach()
    if(ROOM_LINK)
        target_link_libraries(${target} ${scope} ${ROOM_LINK})
    endif()
endfunction()

# What `installer/bootstrap test` builds and runs where not everything is wanted: the fast tests, those for the thread
# sanitizer, the fuzz targets.
add_custom_target(unit_tests)
add_custom_target(tsan_tests)
add_custom_target(fuzz_targets)

# room_test(NAME SOURCES a_test.cpp DEPENDS engine/text LABELS slow)
#
# One GoogleTest binary for a room's tests; NAME is the room's folder. Every case is a test of its own in ctest.
# CONCLAVE_SOURCE_DIR tells a test where the checkout is. LABELS: `slow` (only in `test --all`) and `e2e` (needs the
# programs) take the place of `unit`; `tsan` has the binary run under the thread sanitizer too.
function(room_test NAME)
    cmake_parse_arguments(ROOM "" "TIMEOUT" "SOURCES;DEPENDS;LINK;LABELS" ${ARGN})
    string(REPLACE "/" "_" target ${NAME})
    string(REPLACE "-" "_" target ${target})
    set(target ${target}_test)
    add_executable(${target} ${ROOM_SOURCES})
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_definitions(${target} PRIVATE CONCLAVE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                               CONCLAVE_BINARY_DIR="${PROJECT_BINARY_DIR}")
    target_link_libraries(${target} PRIVATE conclave_flags GTest::gtest_main ${ROOM_LINK})
    # Tests are most of what g++ has to do; their own code need not be fast. Not -O0 where time is measured: the linker
    # may take their copies of library templates for the rooms too.
    if(CONCLAVE_SANITIZE)
        target_compile_options(${target} PRIVATE -O0)
    else()
        target_compile_options(${target} PRIVATE -O1)
    endif()
    foreach(dependency IN LISTS ROOM_DEPENDS)
        string(REPLACE "/" "_" dependency_target ${dependency})
        string(REPLACE "-" "_" dependency_target ${dependency_target})
        target_link_libraries(${target} PRIVATE ${dependency_target})
    endforeach()
    if(NOT ROOM_TIMEOUT)
        set(ROOM_TIMEOUT 120)
    endif()
    if(NOT "slow" IN_LIST ROOM_LABELS AND NOT "e2e" IN_LIST ROOM_LABELS)
        list(PREPEND ROOM_LABELS unit)
        add_dependencies(unit_tests ${target})
    endif()
    if("tsan" IN_LIST ROOM_LABELS)
        add_dependencies(tsan_tests ${target})
    endif()
    # One label with plus signs: gtest_discover_tests keeps only the first of a list.
    string(REPLACE ";" "+" ROOM_LABELS "${ROOM_LABELS}")
    gtest_discover_tests(${target} TEST_PREFIX "${NAME}:" DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT ${ROOM_TIMEOUT} LABELS "${ROOM_LABELS}")
endfunction()

# fuzz_target(NAME SOURCES gguf_fuzz.cpp DEPENDS engine/formats): a libFuzzer binary; only in the preset `fuzz`.
function(fuzz_target NAME)
    if(NOT CONCLAVE_FUZZ)
        return()
    endif()
    cmake_parse_arguments(FUZZ "" "" "SOURCES;DEPENDS" ${ARGN})
    add_executable(${NAME} ${FUZZ_SOURCES})
    add_dependencies(fuzz_targets ${NAME})
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin/fuzz)
    target_include_directories(${NAME} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${NAME} PRIVATE conclave_flags)
    target_link_options(${NAME} PRIVATE -fsanitize=fuzzer)
    foreach(dependency IN LISTS FUZZ_DEPENDS)
        string(REPLACE "/" "_" dependency_target ${dependency})
        target_link_libraries(${NAME} PRIVATE ${dependency_target})
    endforeach()
endfunction()
