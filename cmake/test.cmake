# check_test(name source... [LIBS lib...]): one Check program that ctest runs.
function(check_test name)
	cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
	add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
	target_link_libraries(${name} PRIVATE ${ARG_LIBS} PkgConfig::CHECK)
	add_test(NAME ${name} COMMAND ${name})
	set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()
