# The target `grpc`: gRPC C core without TLS, linked statically with what it stands on. A process then
# maps the parts that it uses, 3 MiB less than with the shared libraries, and the shop is 14 processes.
pkg_check_modules(GRPC REQUIRED grpc_unsecure gpr)
set(archives ${GRPC_STATIC_LIBRARIES} cares re2 upb address_sorting z stdc++)
list(FILTER archives EXCLUDE REGEX "^(m|rt|dl|pthread|atomic)$")
list(REMOVE_DUPLICATES archives)
list(TRANSFORM archives PREPEND "-l")

add_library(grpc INTERFACE)
target_include_directories(grpc SYSTEM INTERFACE ${GRPC_INCLUDE_DIRS})
if(TSAN)
	# It was not built for ThreadSanitizer, which can leave a library out, but not a part of ours.
	target_link_libraries(grpc INTERFACE ${GRPC_LINK_LIBRARIES} Threads::Threads m)
	return()
endif()
target_link_options(grpc INTERFACE -static-libgcc -Wl,--gc-sections)
target_link_libraries(grpc INTERFACE -Wl,-Bstatic -Wl,--start-group ${archives} -Wl,--end-group
                      -Wl,-Bdynamic Threads::Threads m)
