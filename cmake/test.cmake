# check_test(name source... [LIBS lib...]): one Check program that ctest runs.
function(check_test name)
	if(NOT TESTS)
		return()
	endif()
	cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
	add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
	target_link_libraries(${name} PRIVATE ${ARG_LIBS} test_suite PkgConfig::CHECK)
	add_test(NAME ${name} COMMAND ${name})
	set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()

# shop_test(name script.py): a test from outside, of a whole shop. Debian's Python, because
# python3-grpcio is Debian's. It finds tests/support and the stubs of all contracts.
set(TEST_STUBS ${CMAKE_BINARY_DIR}/stubs)
function(shop_test name script)
	add_test(NAME ${name} COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/${script})
	shop_test_environment(${name} 600)
endfunction()

# torture_test(name script.py): one that `make torture` runs, MINUTES long, and nothing else does.
function(torture_test name script)
	add_test(NAME ${name} CONFIGURATIONS torture
	         COMMAND /usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/${script})
	shop_test_environment(${name} 100000)
	set_tests_properties(${name} PROPERTIES LABELS torture)
endfunction()

function(shop_test_environment name timeout)
	set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} ENVIRONMENT
		"ORDERSHOP=$<TARGET_FILE:ordershop>;PYTHONPATH=${CMAKE_SOURCE_DIR}/tests/support:${TEST_STUBS}")
endfunction()

# faults(target): in a build with tests, its FAULT points are there (base/fault.h).
function(faults target)
	if(TESTS)
		target_compile_definitions(${target} PRIVATE FAULTS)
	endif()
endfunction()
