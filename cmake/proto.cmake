# proto_library(target prefix file.proto): the protobuf-c code of one contract, as an object library.
#
# The published file stays free of C matters; a copy in the build folder carries the options
# that give the generated C names a short prefix and make strings const.
set(PROTO_OUT ${CMAKE_BINARY_DIR}/proto)
file(MAKE_DIRECTORY ${PROTO_OUT})

function(proto_library target prefix file)
	get_filename_component(name ${file} NAME_WE)
	set(copy ${CMAKE_BINARY_DIR}/proto-c/${name}.proto)
	set(outputs ${PROTO_OUT}/${name}.pb-c.c ${PROTO_OUT}/${name}.pb-c.h)
	add_custom_command(
		OUTPUT ${outputs}
		COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/proto-c
		COMMAND ${CMAKE_COMMAND} -DIN=${CMAKE_CURRENT_SOURCE_DIR}/${file} -DOUT=${copy}
		        -DPREFIX=${prefix} -P ${CMAKE_SOURCE_DIR}/cmake/proto-options.cmake
		COMMAND protoc-c -I${CMAKE_BINARY_DIR}/proto-c -I/usr/include
		        --c_out=${PROTO_OUT} ${copy}
		DEPENDS ${file} ${CMAKE_SOURCE_DIR}/cmake/proto-options.cmake
		VERBATIM)
	add_library(${target} STATIC ${outputs})
	target_include_directories(${target} SYSTEM PUBLIC ${CMAKE_BINARY_DIR})
	target_link_libraries(${target} PUBLIC PkgConfig::PROTOBUF_C)
	target_compile_options(${target} PRIVATE -w)
endfunction()
